//! A worker of one queue: apalis' worker over the backend, with the handlers of a registry.

use std::{sync::Arc, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{BoxDynError, ParallelizeLayer, WorkerBuilder, WorkerError};
use futures::{FutureExt, future::BoxFuture};
use rolecall_domain::clock::{Clock, Rng};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    backend::{Delivery, Shared, Streams},
    keys::Queue,
    link::Link,
    metrics::Metrics,
    registry::Registry,
    retry::RetrySchedule,
    runner::Runner,
};

/// What a process lends to all its workers.
#[derive(Debug, Clone)]
pub struct Host {
    /// The way to Redis.
    pub link: Link,
    /// Decides what is due.
    pub clock: Arc<dyn Clock>,
    /// Spreads retries.
    pub rng: Arc<dyn Rng>,
    /// Holds every task that is started.
    pub tasks: TaskTracker,
    /// Counts the attempts.
    pub metrics: Metrics,
    /// Names this process among all that ever were: host, process id and something random.
    pub consumer: String,
}

/// How a queue is worked off.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs that run at the same time.
    pub concurrency: usize,
    /// Jobs that are fetched ahead. They wait behind the running ones even if another process is
    /// idle, so few where jobs are long.
    pub prefetch: usize,
    /// A worker that is silent for this long has died: its jobs go to others. A live one shows
    /// itself three times as often.
    pub visibility: Duration,
    /// The waits between attempts.
    pub schedule: RetrySchedule,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 8,
            prefetch: 8,
            visibility: Duration::from_secs(30),
            schedule: RetrySchedule::default(),
        }
    }
}

impl Options {
    /// The most entries that a worker holds.
    pub(crate) fn most_held(&self) -> usize {
        self.running() + self.prefetch
    }

    fn running(&self) -> usize {
        self.concurrency.max(1)
    }
}

/// Why a worker ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Two handlers for one kind.
    #[error("two handlers for the kinds {0:?}")]
    Conflict(Vec<&'static str>),
    /// A fault of ours: no outage of Redis ends a worker.
    #[error("the worker of queue {queue} ended")]
    Ended {
        /// The queue.
        queue: Queue,
        /// What apalis says about it.
        #[source]
        source: WorkerError,
    },
}

/// Works off `queue` until `shutdown`: then no more is fetched, what was not started goes back
/// at once, running jobs are waited for and their outcomes stored.
///
/// To stop without waiting, drop the future: the jobs that were running are run again, by
/// somebody else, after the visibility timeout.
pub fn run<C: Send + Sync + 'static>(
    host: &Host,
    queue: Queue,
    registry: Arc<Registry<C>>,
    context: Arc<C>,
    options: Options,
    shutdown: &CancellationToken,
) -> BoxFuture<'static, Result<(), RunError>> {
    if !registry.conflicts().is_empty() {
        let conflicts = registry.conflicts().to_vec();
        return std::future::ready(Err(RunError::Conflict(conflicts))).boxed();
    }
    host.metrics.start_at_zero(queue, registry.policies());
    let concurrency = options.running();
    let runner = Arc::new(Runner {
        queue,
        registry,
        context,
        clock: Arc::clone(&host.clock),
        rng: Arc::clone(&host.rng),
        schedule: options.schedule.clone(),
        metrics: host.metrics.clone(),
    });
    let host = host.clone();
    let stop = shutdown.child_token();
    async move {
        let backend = Streams::start(Shared::new(&host, queue, options, stop.clone()), &host.tasks);
        let tasks = host.tasks;
        let worker = WorkerBuilder::new(queue.name())
            .backend(backend)
            .concurrency(concurrency)
            // Each job in a task of its own, so that they share the cores and one that does not
            // yield holds up no other.
            .layer(ParallelizeLayer::new(move |job| {
                AbortOnDropHandle::new(tasks.spawn(job))
            }))
            .build(move |delivery: Delivery| {
                let runner = Arc::clone(&runner);
                async move { Ok::<_, BoxDynError>(runner.run(&delivery).await) }
            });
        let stopped = async move {
            stop.cancelled_owned().await;
            Ok::<(), WorkerError>(())
        };
        // Boxed, because apalis' own future cannot be proven to be `Send` for every lifetime.
        worker
            .run_until(stopped)
            .boxed()
            .await
            .map_err(|source| RunError::Ended { queue, source })
    }
    .boxed()
}
