//! A private Redis, a clock that flows, jobs to run and workers to run them.

use std::{
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rolecall_domain::{
    clock::{Clock, Rng, truncate_to_micros},
    ids::uuid_v7,
};
use rolecall_queue::{
    Attempt, DeadJob, DeadJobs, Host, Job, JobError, Link, LinkOptions, Metrics, Options, Producer, Push,
    Queue, Registry, RetrySchedule, RunError, Stats,
};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What is waited for has to happen within this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(50);

/// Waits for something that has to happen.
#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let result = tokio::time::timeout(PATIENCE, future).await;
        result.unwrap_or_else(|_| panic!("waited in vain at {caller}"))
    }
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub(crate) fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) -> impl Future<Output = ()> {
    soon(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !condition().await {
            ticks.tick().await;
        }
    })
}

/// A Redis of one's own.
pub(crate) struct RedisServer {
    dir: TempDir,
    child: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let child = Self::launch(&dir).await;
        Self { dir, child }
    }

    async fn launch(dir: &TempDir) -> Child {
        let mut child = Self::spawn(dir, &[]);
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        soon(async { while !log.next_line().await.unwrap().unwrap().contains("eady to accept") {} }).await;
        child
    }

    fn spawn(dir: &TempDir, more: &[&str]) -> Child {
        Command::new("redis-server")
            .current_dir(dir)
            .args(["--port", "0", "--unixsocket", "redis.sock"])
            .args(["--save", "", "--appendonly", "no"])
            .args(more)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.path().join("redis.sock").display())
    }

    /// Kills the server; everything in it is gone.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        self.child = Self::launch(&self.dir).await;
    }

    /// Starts it again where it was, so that it takes this long for each key it saved.
    pub(crate) fn restart_slowly(&mut self, per_key: Duration) {
        let delay = per_key.as_micros().to_string();
        let slow = [
            "--key-load-delay",
            &delay,
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        self.child = Self::spawn(&self.dir, &slow);
    }

    /// Sends the server a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .await
            .unwrap();
        assert!(status.success());
    }
}

/// A clock that starts at a fixed time and then flows.
#[derive(Debug)]
pub(crate) struct FlowingClock(Instant);

impl Clock for FlowingClock {
    fn now(&self) -> DateTime<Utc> {
        let start: DateTime<Utc> = "2026-11-21T00:00:00Z".parse().unwrap();
        truncate_to_micros(start + self.0.elapsed())
    }
}

/// Numbers that look random and are the same in every run.
#[derive(Debug, Default)]
pub(crate) struct SeededRng(AtomicU64);

impl Rng for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // splitmix64
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// A job without a purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probe {
    pub(crate) n: usize,
    #[serde(default)]
    pub(crate) dedup: Option<String>,
}

impl Probe {
    pub(crate) fn new(n: usize) -> Self {
        Self { n, dedup: None }
    }
}

impl Job for Probe {
    const KIND: &'static str = "probe";
    const ALIASES: &'static [&'static str] = &["probe_of_old"];
    const MAX_ATTEMPTS: u32 = 3;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const DEDUP_FOR: Duration = Duration::from_mins(10);

    fn queue(&self) -> Queue {
        Queue::Jobs
    }

    fn dedup_key(&self) -> Option<String> {
        self.dedup.clone()
    }
}

/// A job that may not take long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hasty {}

impl Job for Hasty {
    const KIND: &'static str = "hasty";
    const MAX_ATTEMPTS: u32 = 2;
    const TIMEOUT: Duration = Duration::from_millis(50);

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// Everything a test needs.
pub(crate) struct Rig {
    pub(crate) server: RedisServer,
    pub(crate) link: Link,
    pub(crate) producer: Producer,
    pub(crate) clock: Arc<FlowingClock>,
    pub(crate) rng: Arc<SeededRng>,
    pub(crate) tasks: TaskTracker,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::start().await;
        let options = LinkOptions {
            response_timeout: Duration::from_millis(500),
            ..LinkOptions::default()
        };
        let link = Link::new(&server.url(), "test", options).unwrap();
        Self {
            producer: Producer::new(&link),
            link,
            server,
            clock: Arc::new(FlowingClock(Instant::now())),
            rng: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }

    pub(crate) fn push(&self) -> Push {
        let now = self.clock.now();
        Push::new(now, uuid_v7(now, &*self.rng))
    }

    pub(crate) fn push_after(&self, delay: Duration) -> Push {
        Push {
            delay: Some(delay),
            ..self.push()
        }
    }

    /// Starts a worker with its own way to Redis, as in another process.
    pub(crate) fn work_with(&self, name: &str, options: Options, registry: Registry<()>) -> Worker {
        let stop = CancellationToken::new();
        let metrics = prometheus::Registry::new();
        let host = Host {
            link: Link::new(&self.server.url(), "test", LinkOptions::default()).unwrap(),
            clock: self.clock.clone(),
            rng: self.rng.clone(),
            tasks: self.tasks.clone(),
            metrics: Metrics::register(&metrics).unwrap(),
            consumer: name.to_owned(),
        };
        let run = rolecall_queue::run(
            &host,
            Queue::Jobs,
            Arc::new(registry),
            Arc::new(()),
            options,
            &stop,
        );
        Worker {
            stop,
            metrics,
            queue_metrics: host.metrics.clone(),
            run: self.tasks.spawn(run),
        }
    }

    /// Starts a worker that runs probes.
    pub(crate) fn work<F, Fut>(&self, name: &str, options: Options, handler: F) -> Worker
    where
        F: Fn(Probe, Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let registry =
            Registry::new().handle(move |_: Arc<()>, probe: Probe, attempt| handler(probe, attempt));
        self.work_with(name, options, registry)
    }

    /// Starts a worker that reports each probe and does nothing else.
    pub(crate) fn report(
        &self,
        name: &str,
        options: Options,
    ) -> (Worker, mpsc::UnboundedReceiver<(Probe, Attempt)>) {
        let (reports, heard) = mpsc::unbounded_channel();
        let worker = self.work(name, options, move |probe, attempt| {
            reports.send((probe, attempt)).unwrap();
            std::future::ready(Ok(()))
        });
        (worker, heard)
    }

    pub(crate) async fn stats(&self) -> Stats {
        rolecall_queue::stats(&self.link, Queue::Jobs, self.clock.now())
            .await
            .unwrap()
    }

    /// Whether no job waits or runs. Seen at one moment: between two a job may go from one place to the other.
    pub(crate) async fn is_idle(&self) -> bool {
        let stats = self.stats().await;
        stats.depth == 0 && stats.delayed == 0
    }

    pub(crate) fn dead_jobs(&self) -> DeadJobs {
        DeadJobs::new(&self.link, Queue::Jobs)
    }

    /// Waits for a job to die.
    #[track_caller]
    pub(crate) fn a_dead_job(&self) -> impl Future<Output = DeadJob> {
        let dead = self.dead_jobs();
        soon(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                if let Some(job) = dead.list(None, 1).await.unwrap().pop() {
                    return job;
                }
                ticks.tick().await;
            }
        })
    }

    /// Sends Redis a command.
    pub(crate) async fn redis<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.link.clone()).await.unwrap()
    }
}

/// A worker as in another process.
pub(crate) struct Worker {
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: prometheus::Registry,
    pub(crate) queue_metrics: Metrics,
    run: JoinHandle<Result<(), RunError>>,
}

impl Worker {
    /// Stops it in good order.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        soon(self.run).await.unwrap().unwrap();
    }

    /// Waits for it to end by itself.
    pub(crate) async fn ended(self) -> Result<(), RunError> {
        soon(self.run).await.unwrap()
    }

    /// Ends it as `kill -9` would: nothing is told to anybody.
    pub(crate) async fn kill(self) {
        self.run.abort();
        assert!(self.run.await.unwrap_err().is_cancelled());
    }
}

/// Options with waits that a test can wait for.
pub(crate) fn quick() -> Options {
    let schedule = RetrySchedule::new([20, 40].map(Duration::from_millis).to_vec()).unwrap();
    Options {
        schedule,
        ..Options::default()
    }
}

/// Options of a worker that does one thing at a time and notices the dead early.
pub(crate) fn single(visibility: Duration) -> Options {
    Options {
        concurrency: 1,
        prefetch: 0,
        visibility,
        ..quick()
    }
}
