//! A burst that waits in the real queue is worked off by real workers: it too costs a few reads, and not
//! one for each event, however many workers share it.

use crate::{
    pumping::{Workers, updated},
    support::{World, plans::COUNCIL, until},
};

async fn burst(names: &[&str]) -> usize {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let object = world.stripe.object(&subscription).unwrap();
    world
        .push((0..50).map(|n| updated(&format!("evt_burst{n}"), &object)))
        .await;
    let workers = Workers::start(&world, names);
    until(async || world.count("done").await == 50).await;
    workers.stop().await;
    world.reads(&subscription)
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_queued_events_of_one_subscription_cost_at_most_three_reads() {
    let reads = burst(&["worker-1"]).await;
    assert!((1..=3).contains(&reads), "{reads} reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_events_shared_by_three_workers_cost_at_most_three_reads() {
    let reads = burst(&["worker-1", "worker-2", "worker-3"]).await;
    assert!((1..=3).contains(&reads), "{reads} reads");
}
