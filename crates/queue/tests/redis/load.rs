//! Many jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use rolecall_queue::Options;
use tokio::sync::{Notify, mpsc};

use crate::support::{Probe, Rig, quick, soon};

/// A fast worker that counts the runs of each job and tells when all were run.
struct Count {
    runs: Vec<AtomicU32>,
    total: AtomicUsize,
    all: Notify,
}

impl Count {
    fn of(jobs: usize) -> Arc<Self> {
        let runs = (0..jobs).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self {
            runs,
            total: AtomicUsize::new(0),
            all: Notify::new(),
        })
    }

    fn add(&self, n: usize) {
        self.runs[n].fetch_add(1, Ordering::SeqCst);
        if self.total.fetch_add(1, Ordering::SeqCst) + 1 == self.runs.len() {
            self.all.notify_one();
        }
    }

    fn each_once(&self) -> bool {
        self.runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1)
    }
}

fn many() -> Options {
    Options {
        concurrency: 64,
        prefetch: 192,
        ..quick()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_of_a_hundred_thousand_due_jobs_drains() {
    let rig = Rig::start().await;
    let jobs = (0..100_000).map(|n| (Probe::new(n), rig.push_after(Duration::ZERO)));
    rig.producer.push_all(jobs).await.unwrap();
    assert_eq!(rig.stats().await.delayed, 100_000);
    let count = Count::of(100_000);
    let counted = Arc::clone(&count);
    let worker = rig.work("a", many(), move |probe, _| {
        counted.add(probe.n);
        std::future::ready(Ok(()))
    });
    // However many are due, only so many are brought forward, and only so many are held.
    let (mut most_in_stream, mut most_held) = (0, 0);
    let mut all = std::pin::pin!(soon(count.all.notified()));
    while futures::poll!(&mut all).is_pending() {
        let stats = rig.stats().await;
        most_in_stream = most_in_stream.max(stats.depth);
        most_held = most_held.max(stats.pending);
    }
    assert!(
        (1..=1_200).contains(&most_in_stream),
        "{most_in_stream} in the stream"
    );
    assert!((1..=256).contains(&most_held), "{most_held} held");
    worker.shut_down().await;
    assert!(count.each_once());
    let stats = rig.stats().await;
    assert_eq!((stats.depth, stats.delayed, stats.dead), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_run_each_of_twenty_thousand_jobs_once() {
    let rig = Rig::start().await;
    let count = Count::of(20_000);
    let workers = ["a", "b", "c"].map(|name| {
        let counted = Arc::clone(&count);
        rig.work(name, many(), move |probe, _| {
            counted.add(probe.n);
            std::future::ready(Ok(()))
        })
    });
    rig.producer
        .push_all((0..20_000).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    soon(count.all.notified()).await;
    for worker in workers {
        worker.shut_down().await;
    }
    assert!(count.each_once());
    assert_eq!(rig.stats().await.depth, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_jobs_overtake_a_burst_of_due_ones() {
    const BURST: usize = 20_000;
    let rig = Rig::start().await;
    let jobs = (0..BURST).map(|n| (Probe::new(n), rig.push_after(Duration::ZERO)));
    rig.producer.push_all(jobs).await.unwrap();
    let (ran, mut heard) = mpsc::unbounded_channel();
    let _worker = rig.work("a", many(), move |probe, _| {
        ran.send(probe.n).unwrap();
        std::future::ready(Ok(()))
    });
    soon(heard.recv()).await.unwrap();
    rig.producer.push(&Probe::new(BURST), rig.push()).await.unwrap();
    let mut before = 0;
    while soon(heard.recv()).await.unwrap() != BURST {
        before += 1;
    }
    assert!(before < BURST - 1, "the fresh job came last");
}

#[tokio::test]
async fn no_more_jobs_run_at_a_time_than_allowed() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let wait = Arc::clone(&go);
    let options = Options {
        concurrency: 3,
        prefetch: 20,
        ..quick()
    };
    let worker = rig.work("a", options, move |_, _| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send(()).unwrap();
            wait.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    rig.producer
        .push_all((0..12).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    for _ in 0..3 {
        soon(heard.recv()).await.unwrap();
    }
    crate::support::until(async || rig.stats().await.pending == 12).await;
    assert!(heard.try_recv().is_err(), "a fourth job runs");
    go.add_permits(12);
    for _ in 0..9 {
        soon(heard.recv()).await.unwrap();
    }
    worker.shut_down().await;
}
