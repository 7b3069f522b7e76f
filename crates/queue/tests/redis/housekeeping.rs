//! What a worker leaves where it is, and what it clears up.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use redis::Value;
use rolecall_queue::Options;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{Probe, Rig, quick, single, soon, until};

#[tokio::test]
async fn due_jobs_stay_out_of_the_way_of_fresh_ones_until_a_worker_has_room() {
    let rig = Rig::start().await;
    let (started, mut heard) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&go);
    let _worker = rig.work("busy", single(Duration::from_mins(1)), move |probe, _| {
        let (started, wait) = (started.clone(), Arc::clone(&wait));
        async move {
            started.send(probe.n).unwrap();
            wait.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    rig.producer.push(&Probe::new(0), rig.push()).await.unwrap();
    assert_eq!(soon(heard.recv()).await, Some(0));
    let due = (1..=20).map(|n| (Probe::new(n), rig.push_after(Duration::ZERO)));
    rig.producer.push_all(due).await.unwrap();
    let moved = until(async || rig.stats().await.depth > 1);
    assert!(
        tokio::time::timeout(Duration::from_millis(400), moved)
            .await
            .is_err(),
        "moved without room to run them"
    );
    assert_eq!(rig.stats().await.delayed, 20);

    go.add_permits(21);
    for _ in 0..20 {
        soon(heard.recv()).await.unwrap();
    }
    until(async || rig.stats().await.depth == 0).await;
}

#[tokio::test]
async fn large_due_jobs_are_moved_a_few_at_a_time() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    for n in 0..60 {
        let large = Probe {
            n,
            dedup: Some("x".repeat(100_000) + &n.to_string()),
        };
        rig.producer
            .push(&large, rig.push_after(Duration::ZERO))
            .await
            .unwrap();
    }
    for _ in 0..60 {
        soon(heard.recv()).await.unwrap();
    }
    until(async || rig.stats().await.depth == 0).await;
    assert_eq!(rig.stats().await.delayed, 0);
}

/// Each consumer of the queue, and for how many milliseconds it has not been heard of.
async fn consumers(rig: &Rig) -> BTreeMap<String, u64> {
    let list: Vec<HashMap<String, Value>> = rig
        .redis(&["XINFO", "CONSUMERS", "{test:jobs}:stream", "workers"])
        .await;
    let field = |consumer: &HashMap<String, Value>, name| consumer[name].clone();
    let consumers = list.iter().map(|consumer| {
        (
            redis::from_redis_value(field(consumer, "name")).unwrap(),
            redis::from_redis_value(field(consumer, "idle")).unwrap(),
        )
    });
    consumers.collect()
}

#[tokio::test]
async fn consumers_of_processes_that_are_gone_are_removed_when_a_worker_starts() {
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
    let join = async |name| -> u32 {
        rig.redis(&["XGROUP", "CREATECONSUMER", "{test:jobs}:stream", "workers", name])
            .await
    };
    join("gone").await;
    // An hour, in the time of this worker.
    until(async || consumers(&rig).await["gone"] > 600).await;
    join("just-here").await;
    let options = Options {
        visibility: Duration::from_millis(5),
        ..quick()
    };
    let (_worker, mut heard) = rig.report("new", options);
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    let left = consumers(&rig).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), ["just-here", "new"]);
}
