//! Workers that die, and workers that stop in good order.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redis::Value;
use tokio::sync::{Notify, mpsc};

use crate::support::{Probe, Rig, Worker, quick, single, soon, until};

const VISIBILITY: Duration = Duration::from_millis(600);

/// A worker whose jobs report their start and then wait for `go`.
fn stuck(
    rig: &Rig,
    name: &str,
    visibility: Duration,
    go: &Arc<Notify>,
) -> (Worker, mpsc::UnboundedReceiver<u32>) {
    let (started, heard) = mpsc::unbounded_channel();
    let go = Arc::clone(go);
    let worker = rig.work(name, single(visibility), move |_, attempt| {
        let (started, go) = (started.clone(), Arc::clone(&go));
        async move {
            started.send(attempt.current).unwrap();
            go.notified().await;
            Ok(())
        }
    });
    (worker, heard)
}

async fn consumers(rig: &Rig) -> Vec<String> {
    let list: Vec<HashMap<String, Value>> = rig
        .redis(&["XINFO", "CONSUMERS", "{test:jobs}:stream", "workers"])
        .await;
    let mut names: Vec<String> = list
        .into_iter()
        .map(|consumer| redis::from_redis_value(consumer["name"].clone()).unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn the_jobs_of_a_killed_worker_are_run_again_and_those_of_a_live_one_are_not() {
    let rig = Rig::start().await;
    let go = Arc::new(Notify::new());
    let (killed, mut killed_started) = stuck(&rig, "killed", VISIBILITY, &go);
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(killed_started.recv()).await.unwrap();
    let (busy, mut busy_started) = stuck(&rig, "busy", VISIBILITY, &go);
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    soon(busy_started.recv()).await.unwrap();

    killed.kill().await;
    let (_heir, mut heard) = rig.report("heir", single(VISIBILITY));
    let (probe, attempt) = soon(heard.recv()).await.unwrap();
    assert_eq!((probe.n, attempt.current, attempt.redelivered), (1, 2, true));

    // Long past the visibility timeout the busy worker still has its job.
    rig.producer
        .push(&Probe::new(3), rig.push_after(VISIBILITY * 4))
        .await
        .unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 3);
    go.notify_one();
    busy.shut_down().await;
    assert!(heard.try_recv().is_err());
    assert_eq!(rig.stats().await.depth, 0);
}

#[tokio::test]
async fn a_job_that_kills_its_worker_dies_after_its_last_attempt() {
    let rig = Rig::start().await;
    let go = Arc::new(Notify::new());
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    for attempt in 1..=3 {
        let (worker, mut started) = stuck(&rig, &format!("w{attempt}"), VISIBILITY, &go);
        assert_eq!(soon(started.recv()).await, Some(attempt));
        worker.kill().await;
    }
    let (_worker, mut heard) = rig.report("last", single(VISIBILITY));
    let dead = rig.a_dead_job().await;
    assert_eq!(
        (dead.attempts, dead.reason.as_str()),
        (3, "the worker died in attempt 3 and before")
    );
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_worker_that_stops_hands_back_at_once_what_it_has_not_started() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let options = rolecall_queue::Options {
        concurrency: 1,
        prefetch: 9,
        ..quick()
    };
    let wait = Arc::clone(&go);
    let stopping = rig.work("stopping", options, move |_, _| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send(()).unwrap();
            wait.notified().await;
            Ok(())
        }
    });
    rig.producer
        .push_all((0..6).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    soon(heard.recv()).await.unwrap();
    until(async || rig.stats().await.pending == 6).await;

    stopping.stop.cancel();
    let (_other, mut rest) = rig.report("other", quick());
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (probe, attempt) = soon(rest.recv()).await.unwrap();
        assert_eq!((attempt.current, attempt.redelivered), (1, false));
        seen.push(probe.n);
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 5]);

    // The running job is waited for, and its outcome stored.
    go.notify_one();
    stopping.shut_down().await;
    assert_eq!(consumers(&rig).await, ["other"]);
    until(async || rig.stats().await.depth == 0).await;
    assert!(heard.try_recv().is_err() && rest.try_recv().is_err());
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_before_it_starts_ends() {
    let mut rig = Rig::start().await;
    rig.report("a", quick()).0.shut_down().await;
    // Without Redis, too.
    rig.server.kill().await;
    let (worker, _heard) = rig.report("b", quick());
    tokio::task::yield_now().await;
    worker.shut_down().await;
}

#[tokio::test]
async fn an_idle_worker_stops_quickly_and_misses_nothing() {
    let rig = Rig::start().await;
    for round in 0..10 {
        let (worker, mut heard) = rig.report(&format!("w{round}"), quick());
        rig.producer.push(&Probe::new(round), rig.push()).await.unwrap();
        assert_eq!(soon(heard.recv()).await.unwrap().0.n, round);
        let asked = std::time::Instant::now();
        worker.shut_down().await;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "took {:?}",
            asked.elapsed()
        );
    }
    assert_eq!(consumers(&rig).await, Vec::<String>::new());
    assert_eq!(rig.stats().await.depth, 0);
    until(async || rig.tasks.is_empty()).await;
}

#[tokio::test]
async fn a_redis_that_stood_still_does_not_let_live_jobs_run_twice() {
    let rig = Rig::start().await;
    let go = Arc::new(Notify::new());
    let (busy, mut started) = stuck(&rig, "busy", VISIBILITY, &go);
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(started.recv()).await.unwrap();
    let (_idle, mut heard) = rig.report("idle", single(VISIBILITY));
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 2);

    rig.server.signal("STOP").await;
    // Each takes as long as this link has patience.
    for _ in 0..3 {
        assert!(rig.link.ping().await.is_err());
    }
    rig.server.signal("CONT").await;
    until(async || rig.link.ping().await.is_ok()).await;
    rig.producer
        .push(&Probe::new(3), rig.push_after(VISIBILITY * 3))
        .await
        .unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 3);
    go.notify_one();
    busy.shut_down().await;
    assert!(started.try_recv().is_err() && heard.try_recv().is_err());
}

#[tokio::test]
async fn what_was_given_over_a_connection_that_broke_is_run_at_once_and_costs_no_attempt() {
    let rig = Rig::start().await;
    let create = [
        "XGROUP",
        "CREATE",
        "{test:jobs}:stream",
        "workers",
        "0",
        "MKSTREAM",
    ];
    let _: String = rig.redis(&create).await;
    for n in 0..3 {
        rig.producer.push(&Probe::new(n), rig.push()).await.unwrap();
    }
    // An answer that the worker of this name does not hear.
    let read = [
        "XREADGROUP",
        "GROUP",
        "workers",
        "a",
        "COUNT",
        "3",
        "STREAMS",
        "{test:jobs}:stream",
        ">",
    ];
    let _: Value = rig.redis(&read).await;
    assert_eq!(rig.stats().await.pending, 3);
    let options = rolecall_queue::Options {
        visibility: Duration::from_mins(10),
        ..quick()
    };
    let (_worker, mut heard) = rig.report("a", options);
    for n in 0..3 {
        let (probe, attempt) = soon(heard.recv()).await.unwrap();
        assert_eq!((probe.n, attempt.current, attempt.redelivered), (n, 1, false));
    }
    until(async || rig.stats().await.depth == 0).await;
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn a_consumer_that_holds_entries_is_never_deleted() {
    let rig = Rig::start().await;
    let go = Arc::new(Notify::new());
    let (killed, mut started) = stuck(&rig, "killed", Duration::from_mins(10), &go);
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(started.recv()).await.unwrap();
    killed.kill().await;
    let (other, mut heard) = rig.report("other", quick());
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    assert_eq!(consumers(&rig).await, ["killed", "other"]);
    other.shut_down().await;
    assert_eq!(consumers(&rig).await, ["killed"]);
    assert_eq!(rig.stats().await.pending, 1);
}

#[tokio::test]
async fn no_job_is_lost_when_workers_are_killed_over_and_over() {
    const JOBS: usize = 300;
    let rig = Rig::start().await;
    let runs: Arc<Vec<AtomicU32>> = Arc::new((0..JOBS).map(|_| AtomicU32::new(0)).collect());
    rig.producer
        .push_all((0..JOBS).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    let options = || rolecall_queue::Options {
        visibility: VISIBILITY,
        ..quick()
    };
    for round in 0..5 {
        let (done, mut progress) = mpsc::unbounded_channel();
        let counted = Arc::clone(&runs);
        let worker = rig.work(&format!("victim{round}"), options(), move |probe, _| {
            counted[probe.n].fetch_add(1, Ordering::SeqCst);
            done.send(()).unwrap();
            std::future::ready(Ok(()))
        });
        for _ in 0..20 {
            soon(progress.recv()).await.unwrap();
        }
        worker.kill().await;
    }
    let counted = Arc::clone(&runs);
    let _worker = rig.work("survivor", options(), move |probe, _| {
        counted[probe.n].fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(()))
    });
    until(async || rig.stats().await.depth == 0).await;
    assert_eq!(rig.stats().await.dead, 0);
    assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) >= 1));
}
