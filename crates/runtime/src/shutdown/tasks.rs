//! Every spawned task has a name, is awaited at the end, and is missed if it ends too early.

use std::{
    any::Any,
    borrow::Cow,
    collections::BTreeMap,
    error::Error,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info, info_span, warn};

use crate::{config::DrainConfig, shutdown::Shutdown};

/// How long tasks may take to notice that they were aborted, or that the work is finished.
const LAST_MOMENT: Duration = Duration::from_secs(1);

type BoxError = Box<dyn Error + Send + Sync>;
type Name = Cow<'static, str>;

/// Why a process did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A long-lived task ended with an error.
    #[error("task {task} failed")]
    Failed {
        /// The task.
        task: String,
        /// Its error.
        #[source]
        source: BoxError,
    },
    /// A long-lived task ended although nothing was wrong and nobody had stopped it.
    #[error("task {task} ended although nobody stopped it")]
    EndedEarly {
        /// The task.
        task: String,
    },
    /// A long-lived task panicked.
    #[error("task {task} panicked: {message}")]
    Panicked {
        /// The task.
        task: String,
        /// What it said.
        message: String,
    },
    /// The deadline or a second signal came before these tasks were done.
    #[error("stopped before these tasks were done: {}", tasks.join(", "))]
    CutOff {
        /// The tasks.
        tasks: Vec<String>,
    },
}

/// The tasks of a process; clones share them. The only place that spawns.
#[derive(Debug, Clone)]
pub struct Tasks {
    shutdown: Shutdown,
    /// What a drain waits for.
    work: TaskTracker,
    /// What the work leans on: ends after it.
    support: TaskTracker,
    ledger: Arc<Ledger>,
}

#[derive(Debug, Default)]
struct Ledger {
    running: Mutex<Running>,
    failure: Mutex<Option<RunError>>,
}

#[derive(Debug, Default)]
struct Running {
    names: BTreeMap<u64, (Tier, Name)>,
    last: u64,
}

/// What a task is to a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Work,
    Support,
}

/// Takes a task off the list of running ones when it ends, however it ends.
struct Entry {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Tasks {
    /// No tasks so far.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            work: TaskTracker::new(),
            support: TaskTracker::new(),
            ledger: Arc::default(),
        }
    }

    /// Spawns a task that ends by itself. A drain waits for it; a panic in it is logged.
    pub fn spawn<F>(&self, name: impl Into<Name>, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let entry = self.enter(Tier::Work, name.clone());
        let task = async move {
            let _entry = entry;
            if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                error!(task.name = %name, "task panicked: {}", panic_message(&*panic));
            }
        };
        self.work.spawn(task.in_current_span())
    }

    /// Spawns a task that runs until the process drains. If it ends before, however it ends, the
    /// process drains and [`Tasks::run_until_done`] says which task it was.
    pub fn spawn_critical<F, E>(&self, name: impl Into<Name>, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.work.spawn(self.watch(Tier::Work, name.into(), future));
    }

    /// Spawns a task that the work leans on: it runs until [`Shutdown::finished`], and is as
    /// critical as the work before that.
    pub fn spawn_support<F, E>(&self, name: impl Into<Name>, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.support.spawn(self.watch(Tier::Support, name.into(), future));
    }

    /// Waits for the end of the process: for a drain to begin, and then for the work to end, for
    /// the deadline, or for [`Shutdown::abort`].
    pub async fn run_until_done(&self, drain: DrainConfig) -> Result<(), RunError> {
        self.shutdown.draining().cancelled().await;
        self.work.close();
        self.support.close();
        let in_time = tokio::select! {
            biased;
            () = self.work.wait() => true,
            () = self.deadline(drain) => false,
        };
        let mut cut_off = Vec::new();
        if !in_time {
            cut_off = self.running(Tier::Work);
            warn!(tasks = ?cut_off, "cutting off what still runs");
            self.shutdown.abort();
            let _ = timeout(LAST_MOMENT, self.work.wait()).await;
        }
        self.shutdown.finish();
        if timeout(LAST_MOMENT, self.support.wait()).await.is_err() && in_time {
            cut_off = self.running(Tier::Support);
        }
        if cut_off.is_empty() {
            info!("drained");
        }
        self.outcome(cut_off)
    }

    async fn deadline(&self, drain: DrainConfig) {
        let stages = async {
            sleep(drain.delay).await;
            self.shutdown.close();
            sleep(drain.timeout).await;
        };
        tokio::select! {
            () = stages => {}
            () = self.shutdown.aborted.cancelled() => {}
        }
    }

    fn outcome(&self, cut_off: Vec<String>) -> Result<(), RunError> {
        match self.ledger.failure().take() {
            Some(failure) => Err(failure),
            None if cut_off.is_empty() => Ok(()),
            None => Err(RunError::CutOff { tasks: cut_off }),
        }
    }

    /// The names of the tasks that run now.
    fn running(&self, wanted: Tier) -> Vec<String> {
        let running = self.ledger.running();
        running
            .names
            .values()
            .filter(|(tier, _)| *tier == wanted)
            .map(|(_, name)| name.to_string())
            .collect()
    }

    /// `future` with a name, watched: before its tier may end it must not end.
    fn watch<F, E>(&self, tier: Tier, name: Name, future: F) -> impl Future<Output = ()> + Send + 'static
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let may_end = match tier {
            Tier::Work => self.shutdown.draining(),
            Tier::Support => self.shutdown.finished(),
        };
        let entry = self.enter(tier, name.clone());
        let span = info_span!(parent: None, "task", task.name = %name);
        let (shutdown, ledger) = (self.shutdown.clone(), Arc::clone(&self.ledger));
        let watched = async move {
            let _entry = entry;
            let task = name.into_owned();
            let failure = match AssertUnwindSafe(future).catch_unwind().await {
                Ok(Ok(())) if may_end.is_cancelled() => return,
                Ok(Ok(())) => RunError::EndedEarly { task },
                Ok(Err(error)) => RunError::Failed {
                    task,
                    source: error.into(),
                },
                Err(panic) => RunError::Panicked {
                    task,
                    message: panic_message(&*panic),
                },
            };
            error!(
                error = chain(&failure),
                "draining, because a task ended that should not have"
            );
            ledger.failure().get_or_insert(failure);
            shutdown.drain();
        };
        watched.instrument(span)
    }

    fn enter(&self, tier: Tier, name: Name) -> Entry {
        let mut running = self.ledger.running();
        running.last += 1;
        let number = running.last;
        running.names.insert(number, (tier, name));
        Entry {
            ledger: Arc::clone(&self.ledger),
            number,
        }
    }
}

impl Ledger {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> MutexGuard<'_, Option<RunError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.ledger.running().names.remove(&self.number);
    }
}

/// What a panic said, if it said something in words.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
        .to_owned()
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::pending, io};

    use tokio::sync::oneshot;
    use tokio_util::sync::CancellationToken;

    use super::*;

    const DRAIN: DrainConfig = DrainConfig {
        delay: Duration::from_secs(5),
        timeout: Duration::from_secs(25),
    };

    fn start() -> (Shutdown, Tasks) {
        let shutdown = Shutdown::new();
        (shutdown.clone(), Tasks::new(shutdown))
    }

    /// The end of the process; a day is longer than any drain, and passes at once on a paused clock.
    async fn end(tasks: &Tasks) -> Result<(), RunError> {
        timeout(Duration::from_hours(24), tasks.run_until_done(DRAIN))
            .await
            .expect("the process ends")
    }

    /// A task that ends as it should.
    async fn until(token: CancellationToken) -> Result<(), Infallible> {
        token.cancelled().await;
        Ok(())
    }

    async fn clumsy() -> Result<(), Infallible> {
        tokio::task::yield_now().await;
        panic!("out of {}", "cheese");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_running_work() {
        let (shutdown, tasks) = start();
        let (release, released) = oneshot::channel::<()>();
        tasks.spawn_critical("intake", until(shutdown.draining()));
        let job = tasks.spawn("job", async { released.await.unwrap() });

        shutdown.drain();
        let done = end(&tasks);
        tokio::pin!(done);
        assert!(futures::poll!(&mut done).is_pending(), "the job still runs");
        release.send(()).unwrap();
        done.await.unwrap();
        assert!(job.is_finished());
        assert!(shutdown.finished().is_cancelled() && !shutdown.aborted().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn listeners_close_after_the_delay_and_work_is_cut_off_after_the_timeout() {
        let (shutdown, tasks) = start();
        let begun = tokio::time::Instant::now();
        tasks.spawn("stuck", pending());
        tasks.spawn_support("health", until(shutdown.finished()));
        let closed = tasks.spawn("listener", {
            let closing = shutdown.closing();
            async move { closing.cancelled().await }
        });
        let closed_after = async {
            closed.await.unwrap();
            begun.elapsed()
        };
        shutdown.drain();
        let (result, closed_after) = tokio::join!(end(&tasks), closed_after);
        assert_eq!(closed_after, DRAIN.delay);
        assert_eq!(begun.elapsed(), DRAIN.delay + DRAIN.timeout + LAST_MOMENT);
        assert!(shutdown.aborted().is_cancelled());
        assert_eq!(
            result.unwrap_err().to_string(),
            "stopped before these tasks were done: stuck"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_abort_does_not_wait_for_the_deadline() {
        let (shutdown, tasks) = start();
        let begun = tokio::time::Instant::now();
        tasks.spawn("careful", {
            let aborted = shutdown.aborted();
            async move { aborted.cancelled().await }
        });
        shutdown.abort();
        let result = end(&tasks).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(
            matches!(result, Err(RunError::CutOff { .. }) | Ok(())),
            "{result:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_of_a_critical_task_stops_the_process_and_is_named() {
        let (shutdown, tasks) = start();
        tasks.spawn_critical("shard", async { Err::<(), _>(io::Error::other("token refused")) });
        let error = end(&tasks).await.unwrap_err();
        assert_eq!(chain(&error), "task shard failed: token refused");
        assert!(shutdown.draining().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_critical_task_that_simply_ends_stops_the_process() {
        let (_, tasks) = start();
        tasks.spawn_critical("worker", async { Ok::<(), Infallible>(()) });
        let error = end(&tasks).await.unwrap_err();
        assert_eq!(error.to_string(), "task worker ended although nobody stopped it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_critical_task_stops_the_process() {
        let (_, tasks) = start();
        tasks.spawn_critical("cron", clumsy());
        let error = end(&tasks).await.unwrap_err();
        assert_eq!(error.to_string(), "task cron panicked: out of cheese");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_in_a_short_task_stops_nothing() {
        let (shutdown, tasks) = start();
        tasks
            .spawn("clumsy", async { clumsy().await.unwrap() })
            .await
            .unwrap();
        assert!(!shutdown.draining().is_cancelled());
        shutdown.drain();
        end(&tasks).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_while_draining_is_told_as_well() {
        let (shutdown, tasks) = start();
        let draining = shutdown.draining();
        tasks.spawn_critical("queue", async move {
            draining.cancelled().await;
            Err::<(), _>(io::Error::other("could not hand back"))
        });
        shutdown.drain();
        assert!(matches!(end(&tasks).await, Err(RunError::Failed { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn support_outlives_the_work() {
        let (shutdown, tasks) = start();
        let (release, released) = oneshot::channel::<()>();
        tasks.spawn("job", async { released.await.unwrap() });
        tasks.spawn_support("lease", until(shutdown.finished()));
        shutdown.drain();
        let done = end(&tasks);
        tokio::pin!(done);
        assert!(futures::poll!(&mut done).is_pending());
        assert_eq!(
            (tasks.running(Tier::Work), tasks.running(Tier::Support)),
            (vec!["job".to_owned()], vec!["lease".to_owned()])
        );
        assert!(
            !shutdown.finished().is_cancelled(),
            "the lease must hold until the job is done"
        );
        release.send(()).unwrap();
        done.await.unwrap();
        assert!(tasks.running(Tier::Support).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn support_that_does_not_end_is_named() {
        let (shutdown, tasks) = start();
        tasks.spawn_support("lease", pending::<Result<(), Infallible>>());
        shutdown.drain();
        let error = end(&tasks).await.unwrap_err();
        assert_eq!(error.to_string(), "stopped before these tasks were done: lease");
    }

    #[tokio::test(start_paused = true)]
    async fn support_that_ends_before_the_work_stops_the_process() {
        let (shutdown, tasks) = start();
        tasks.spawn_critical("intake", until(shutdown.draining()));
        tasks.spawn_support("lease", async { Ok::<(), Infallible>(()) });
        let error = end(&tasks).await.unwrap_err();
        assert_eq!(error.to_string(), "task lease ended although nobody stopped it");
    }
}
