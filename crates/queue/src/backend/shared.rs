//! What the tasks of one worker share.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Script};
use rolecall_domain::clock::{Clock, Rng};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    keys::{Keys, Queue},
    link::{Link, Outage, is_broken},
    scripts,
    worker::{Host, Options},
};

/// The consumer group that all workers of a queue are in.
pub(crate) const GROUP: &str = "workers";

/// What the tasks of one worker share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) link: Link,
    pub(crate) queue: Queue,
    pub(crate) keys: Keys,
    pub(crate) consumer: String,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) in_flight: Arc<InFlight>,
    /// One for each entry that is held: fetched and not yet settled.
    pub(crate) permits: Arc<Semaphore>,
    /// Fetch no more.
    pub(crate) stop: CancellationToken,
    refusals: Outage,
}

impl Shared {
    pub(crate) fn new(host: &Host, queue: Queue, options: Options, stop: CancellationToken) -> Self {
        Self {
            link: host.link.clone(),
            queue,
            keys: Keys::new(host.link.namespace(), queue),
            consumer: host.consumer.clone(),
            clock: Arc::clone(&host.clock),
            rng: Arc::clone(&host.rng),
            in_flight: Arc::default(),
            permits: Arc::new(Semaphore::new(options.most_held())),
            options,
            stop,
            refusals: Outage::new("Redis refuses the work of a queue"),
        }
    }

    /// A script call on `keys` whose first arguments are the group and this consumer.
    pub(crate) fn call(&self, script: &Script, keys: &[&str]) -> Cmd {
        let mut call = scripts::call(script, keys);
        call.arg(GROUP).arg(&self.consumer);
        call
    }

    /// Runs a script call.
    pub(crate) async fn run<T: FromRedisValue>(&self, script: &Script, call: &Cmd) -> RedisResult<T> {
        scripts::run(&self.link, script, call).await
    }

    /// Tells of an error that a task lives through. That a connection is lost the link tells itself.
    pub(crate) fn trouble(&self, error: &RedisError) {
        if !is_broken(error) {
            self.refusals.began(error);
        }
    }

    /// Fetching works.
    pub(crate) fn recovered(&self) {
        self.refusals.ended();
    }

    /// Waits, unless the worker is told to stop.
    pub(crate) async fn pause(&self, wait: Duration) {
        let stopped = self.stop.cancelled();
        // Being told to stop is as good a reason to go on as the time being up.
        let _: Result<(), _> = tokio::time::timeout(wait, stopped).await;
    }
}

/// The entries that this worker holds: those whose heart it keeps beating.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    held: Mutex<HashSet<String>>,
    /// One of them was let go of.
    left: Notify,
}

impl InFlight {
    /// Whether it was not held yet.
    pub(crate) fn insert(&self, entry: &str) -> bool {
        self.entries().insert(entry.to_owned())
    }

    pub(crate) fn remove(&self, entry: &str) {
        self.entries().remove(entry);
        self.left.notify_one();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Waits until an entry is let go of; not at all if one was since the last time. For one task.
    pub(crate) async fn left(&self) {
        self.left.notified().await;
    }

    pub(crate) fn snapshot(&self) -> Vec<String> {
        self.entries().iter().cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
