//! Redis away, full, emptied, demoted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rolecall_queue::PushError;
use tokio::sync::{Notify, mpsc};

use crate::support::{Probe, Rig, quick, single, soon, until};

#[tokio::test]
async fn a_push_fails_fast_while_redis_is_away_and_works_when_it_is_back() {
    let mut rig = Rig::start().await;
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    rig.server.kill().await;
    let asked = Instant::now();
    for n in 0..20 {
        let error = rig.producer.push(&Probe::new(n), rig.push()).await.unwrap_err();
        assert!(matches!(error, PushError::Unavailable(_)), "{error:?}");
        assert!(error.is_transient());
    }
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "took {:?}",
        asked.elapsed()
    );
    rig.server.restart().await;
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    assert_eq!(rig.stats().await.depth, 1);
}

#[tokio::test]
async fn the_first_push_after_an_unnoticed_restart_works() {
    let mut rig = Rig::start().await;
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    rig.server.kill().await;
    rig.server.restart().await;
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_stops_answering_is_given_up_after_the_timeout_by_all_at_once() {
    let rig = Rig::start().await;
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    rig.server.signal("STOP").await;
    let asked = Instant::now();
    let pushes = (0..50).map(|n| {
        let (producer, push) = (rig.producer.clone(), rig.push());
        async move { producer.push(&Probe::new(n), push).await.unwrap_err() }
    });
    for error in futures::future::join_all(pushes).await {
        assert!(matches!(error, PushError::Unavailable(_)), "{error:?}");
    }
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "took {:?}",
        asked.elapsed()
    );
    rig.server.signal("CONT").await;
    until(async || rig.producer.push(&Probe::new(2), rig.push()).await.is_ok()).await;
}

#[tokio::test]
async fn a_full_redis_is_told_apart_and_can_still_be_drained() {
    let rig = Rig::start().await;
    rig.producer
        .push_all((0..50).map(|n| (Probe::new(n), rig.push_after(Duration::ZERO))))
        .await
        .unwrap();
    let _: String = rig.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = rig.producer.push(&Probe::new(99), rig.push()).await.unwrap_err();
    assert!(matches!(error, PushError::OutOfMemory(_)), "{error:?}");
    let error = rig
        .producer
        .push_all([(Probe::new(99), rig.push())])
        .await
        .unwrap_err();
    assert!(matches!(error, PushError::OutOfMemory(_)), "{error:?}");

    // Due jobs are promoted, run, retried and discarded although nothing may be added.
    let _: String = rig.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let _worker = rig.work("makes-the-group", quick(), |probe, attempt| {
        std::future::ready(match probe.n % 3 {
            0 if attempt.current == 1 => Err(rolecall_queue::JobError::retry("again")),
            1 => Err(rolecall_queue::JobError::cancel("no use")),
            _ => Ok(()),
        })
    });
    until(async || rig.is_idle().await).await;
    rig.producer
        .push_all((0..50).map(|n| (Probe::new(n), rig.push_after(Duration::from_millis(500)))))
        .await
        .unwrap();
    let _: String = rig.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    until(async || rig.is_idle().await).await;
    assert_eq!(rig.stats().await.dead, 2 * 17);
    let _: String = rig.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
}

#[tokio::test]
async fn a_demoted_redis_is_told_apart_and_waited_for() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    let _: String = rig.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let error = rig.producer.push(&Probe::new(2), rig.push()).await.unwrap_err();
    assert!(matches!(error, PushError::ReadOnly(_)), "{error:?}");
    let _: String = rig.redis(&["REPLICAOF", "NO", "ONE"]).await;
    rig.producer.push(&Probe::new(3), rig.push()).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 3);
}

#[tokio::test]
async fn outcomes_wait_for_a_demoted_redis_to_be_promoted() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let wait = Arc::clone(&go);
    let _worker = rig.work("a", quick(), move |probe, attempt| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send((probe.n, attempt.current)).unwrap();
            wait.acquire().await.unwrap().forget();
            match probe.n {
                1 => Ok(()),
                2 => Err(rolecall_queue::JobError::cancel("no use")),
                _ if attempt.current > 1 => Ok(()),
                _ => Err(rolecall_queue::JobError::retry("again")),
            }
        }
    });
    rig.producer
        .push_all((1..=3).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    for _ in 0..3 {
        soon(heard.recv()).await.unwrap();
    }
    let _: String = rig.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    go.add_permits(4);
    until(async || go.available_permits() == 1).await;
    let _: String = rig.redis(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(soon(heard.recv()).await, Some((3, 2)));
    until(async || rig.stats().await.depth == 0).await;
    assert_eq!(rig.stats().await.dead, 1);
    assert!(heard.try_recv().is_err());
}

#[tokio::test]
async fn jobs_pushed_after_flushall_are_run() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    for round in 0..3 {
        rig.producer.push(&Probe::new(round), rig.push()).await.unwrap();
        assert_eq!(soon(heard.recv()).await.unwrap().0.n, round);
        let _: String = rig.redis(&["FLUSHALL"]).await;
    }
    rig.producer
        .push(&Probe::new(9), rig.push_after(Duration::from_millis(1)))
        .await
        .unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 9);
}

#[tokio::test]
async fn a_job_that_was_running_through_flushall_ends_in_peace() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let worker = rig.work("a", single(Duration::from_millis(600)), move |probe, _| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send(probe.n).unwrap();
            wait.notified().await;
            Err(rolecall_queue::JobError::retry("too late"))
        }
    });
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    let _: String = rig.redis(&["FLUSHALL"]).await;
    go.notify_one();
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    assert_eq!(soon(heard.recv()).await, Some(2));
    go.notify_one();
    worker.shut_down().await;
}

#[tokio::test]
async fn workers_live_through_restarts_of_redis() {
    let mut rig = Rig::start().await;
    let (worker, mut heard) = rig.report("a", quick());
    for round in 0..3 {
        rig.producer.push(&Probe::new(round), rig.push()).await.unwrap();
        assert_eq!(soon(heard.recv()).await.unwrap().0.n, round);
        rig.server.kill().await;
        rig.server.restart().await;
    }
    rig.producer.push(&Probe::new(9), rig.push()).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 9);
    worker.shut_down().await;
}

#[tokio::test]
async fn an_outcome_is_kept_until_redis_answers_again() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let _worker = rig.work("a", quick(), move |_, _| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send(()).unwrap();
            wait.notified().await;
            Ok(())
        }
    });
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    rig.server.signal("STOP").await;
    go.notify_one();
    assert!(rig.link.ping().await.is_err());
    rig.server.signal("CONT").await;
    until(async || rig.link.ping().await.is_ok()).await;
    until(async || rig.stats().await.depth == 0).await;
    assert!(heard.try_recv().is_err());
}
