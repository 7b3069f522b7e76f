//! What the tasks of one worker share.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Script};
use rolecall_domain::clock::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    keys::{Keys, Queue},
    link::{Link, Outage, Trouble},
    scripts,
    worker::Options,
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
    pub(crate) in_flight: Arc<InFlight>,
    /// One for each entry that is held: fetched and not yet settled.
    pub(crate) permits: Arc<Semaphore>,
    /// Fetch no more.
    pub(crate) stop: CancellationToken,
    refusals: Outage,
}

impl Shared {
    pub(crate) fn new(
        link: &Link,
        queue: Queue,
        consumer: String,
        options: Options,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            link: link.clone(),
            queue,
            keys: Keys::new(link.namespace(), queue),
            consumer,
            clock,
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

    /// Tells of an error that a task lives through. That Redis is away the link tells itself.
    pub(crate) fn trouble(&self, error: &RedisError) {
        if Trouble::of(error) != Trouble::Away {
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
pub(crate) struct InFlight(Mutex<HashSet<String>>);

impl InFlight {
    /// Whether it was not held yet.
    pub(crate) fn insert(&self, entry: &str) -> bool {
        self.entries().insert(entry.to_owned())
    }

    pub(crate) fn remove(&self, entry: &str) {
        self.entries().remove(entry);
    }

    pub(crate) fn snapshot(&self) -> Vec<String> {
        self.entries().iter().cloned().collect()
    }

    fn entries(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
