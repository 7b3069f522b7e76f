//! A Redis that answers, but will not do what it is asked to: it reads its data, cannot save it, has
//! no replica, is full. What is pushed fails with the reason; what was pushed is run when it is over.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rolecall_queue::{JobError, PushError, in_plain_words};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Probe, Rig, Worker, quick, soon, until};

impl Rig {
    async fn config(&self, name: &str, value: &str) {
        let _: String = self.redis(&["CONFIG", "SET", name, value]).await;
    }

    async fn push_one(&self, n: usize) -> Result<(), PushError> {
        self.producer.push(&Probe::new(n), self.push()).await.map(drop)
    }

    /// What is wrong, as it is told to people.
    async fn complaint(&self) -> String {
        self.link
            .check()
            .await
            .map_or_else(|error| in_plain_words(&error), |()| "nothing".to_owned())
    }

    /// A worker whose probes wait for `go` and then end in each of the ways that Redis has to be told
    /// of, by their number.
    fn waiting(&self, go: &Arc<Semaphore>) -> (Worker, mpsc::UnboundedReceiver<(usize, u32)>) {
        let (started, heard) = mpsc::unbounded_channel();
        let go = Arc::clone(go);
        let worker = self.work("a", quick(), move |probe, attempt| {
            let (started, go) = (started.clone(), Arc::clone(&go));
            async move {
                started.send((probe.n, attempt.current)).unwrap();
                go.acquire().await.unwrap().forget();
                match probe.n {
                    1 if attempt.current == 1 => Err(JobError::retry("again")),
                    2 => Err(JobError::cancel("no use")),
                    _ => Ok(()),
                }
            }
        });
        (worker, heard)
    }
}

/// Jobs that were running when Redis began to refuse are settled when it has stopped: none is lost,
/// and none runs twice.
async fn outcomes_wait(rig: &Rig, ill: impl AsyncFnOnce(), heal: impl AsyncFnOnce()) {
    let go = Arc::new(Semaphore::new(0));
    let (worker, mut heard) = rig.waiting(&go);
    rig.producer
        .push_all((0..3).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(soon(heard.recv()).await.unwrap().1, 1);
    }
    ill().await;
    go.add_permits(4);
    until(async || go.available_permits() == 1).await;
    heal().await;
    assert_eq!(soon(heard.recv()).await, Some((1, 2)));
    until(async || rig.stats().await.depth == 0).await;
    assert_eq!((rig.stats().await.delayed, rig.stats().await.dead), (0, 1));
    worker.shut_down().await;
    assert!(heard.try_recv().is_err(), "something ran twice");
}

#[tokio::test]
async fn a_redis_that_reads_its_data_is_told_apart_and_keeps_what_was_pushed() {
    let mut rig = Rig::start().await;
    rig.push_one(1).await.unwrap();
    rig.config("rdbcompression", "no").await;
    for filler in 0..200 {
        let _: String = rig
            .redis(&["SET", &format!("filler-{filler}"), &"x".repeat(2_000)])
            .await;
    }
    let _: String = rig.redis(&["SAVE"]).await;
    let (_worker, mut heard) = {
        rig.server.kill().await;
        rig.server.restart_slowly(Duration::from_millis(5));
        rig.report("a", quick())
    };
    until(async || matches!(rig.push_one(2).await, Err(PushError::Loading(_)))).await;
    assert!(rig.complaint().await.contains("reading its data"));
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 1);
    until(async || rig.push_one(3).await.is_ok()).await;
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 3);
    assert_eq!(rig.complaint().await, "nothing");
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_told_apart_and_waited_for() {
    let rig = Rig::start().await;
    rig.config("save", "3600 1").await;
    let snapshot = rig.server.dir().join("dump.rdb");
    let ill = async || {
        // A directory where the snapshot should go.
        std::fs::create_dir(&snapshot).unwrap();
        let _: String = rig.redis(&["BGSAVE"]).await;
        until(async || rig.complaint().await.contains("cannot save to its disk")).await;
        let error = rig.push_one(9).await.unwrap_err();
        assert!(
            matches!(error, PushError::CannotPersist(_)) && error.is_transient(),
            "{error:?}"
        );
    };
    let heal = async || {
        std::fs::remove_dir(&snapshot).unwrap();
        let _: String = rig.redis(&["BGSAVE"]).await;
    };
    outcomes_wait(&rig, ill, heal).await;
}

#[tokio::test]
async fn a_redis_without_its_replicas_is_told_apart_and_waited_for() {
    let rig = Rig::start().await;
    let ill = async || {
        rig.config("min-replicas-to-write", "1").await;
        let error = rig.push_one(9).await.unwrap_err();
        assert!(
            matches!(error, PushError::CannotPersist(_)) && error.is_transient(),
            "{error:?}"
        );
        assert!(rig.complaint().await.contains("replicas"));
    };
    let heal = async || rig.config("min-replicas-to-write", "0").await;
    outcomes_wait(&rig, ill, heal).await;
}

#[tokio::test]
async fn a_replica_is_told_apart() {
    let rig = Rig::start().await;
    let _: String = rig.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(rig.complaint().await.contains("replica"));
    let _: String = rig.redis(&["REPLICAOF", "NO", "ONE"]).await;
    assert_eq!(rig.complaint().await, "nothing");
    let left: Vec<String> = rig.redis(&["KEYS", "*"]).await;
    assert_eq!(left, [""; 0], "checking writes nothing");
}

#[tokio::test]
async fn a_worker_that_starts_while_redis_is_full_works_off_what_is_there() {
    let rig = Rig::start().await;
    let (first, mut heard) = rig.report("first", quick());
    rig.push_one(1).await.unwrap();
    soon(heard.recv()).await.unwrap();
    first.shut_down().await;
    for n in 0..5 {
        rig.push_one(n).await.unwrap();
    }
    rig.config("maxmemory", "1").await;
    assert!(matches!(rig.push_one(9).await, Err(PushError::OutOfMemory(_))));
    assert!(rig.complaint().await.contains("is full"));

    let (_second, mut heard) = rig.report("second", quick());
    let mut ran = BTreeSet::new();
    for _ in 0..5 {
        ran.insert(soon(heard.recv()).await.unwrap().0.n);
    }
    assert_eq!(ran, (0..5).collect());
    until(async || rig.stats().await.depth == 0).await;
}

#[tokio::test]
async fn a_worker_of_a_queue_that_was_never_used_waits_while_redis_is_full() {
    let rig = Rig::start().await;
    rig.config("maxmemory", "1").await;
    let (_worker, mut heard) = rig.report("a", quick());
    assert!(matches!(rig.push_one(1).await, Err(PushError::OutOfMemory(_))));
    rig.config("maxmemory", "0").await;
    rig.push_one(2).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().0.n, 2);
}

#[tokio::test]
async fn connections_that_are_killed_over_and_over_lose_no_job() {
    let rig = Rig::start().await;
    let (worker, mut heard) = rig.report("a", quick());
    let mut ran = BTreeSet::new();
    for round in 0..10 {
        for n in 0..5 {
            rig.push_one(round * 5 + n).await.unwrap();
            if n == round % 5 {
                let kill = ["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"];
                until(async || rig.redis::<u32>(&kill).await > 0).await;
            }
        }
        while ran.len() < (round + 1) * 5 {
            ran.insert(soon(heard.recv()).await.unwrap().0.n);
        }
    }
    until(async || rig.stats().await.depth == 0).await;
    worker.shut_down().await;
}
