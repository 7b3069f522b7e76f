//! A burst that waits in the real queue is worked off by the real workers of a queue: it too costs a few
//! reads, and not one for each event.

use std::sync::Arc;

use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{Host, Metrics, Options, Push, Queue, run};
use rolecall_worker::{
    ctx::Ctx,
    handlers::{QUEUES, registry},
};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{World, event, plans::COUNCIL, until};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_queued_events_of_one_subscription_cost_at_most_three_reads() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let object = world.stripe.object(&subscription).unwrap();
    for n in 0..50 {
        let event = event(&json!({
            "id": format!("evt_burst{n}"), "object": "event", "type": "customer.subscription.updated",
            "created": world.now().timestamp(), "livemode": false, "data": { "object": object },
        }));
        let push = Push::new(world.now(), uuid_v7(world.now(), &*world.rng));
        world.worker.producer.push(&event, push).await.unwrap();
    }
    let stop = CancellationToken::new();
    let host = Host {
        link: world.redis.link.clone(),
        clock: world.clock.clone(),
        rng: world.rng.clone(),
        tasks: TaskTracker::new(),
        metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
        consumer: "worker-1".to_owned(),
    };
    let (_, concurrency) = QUEUES
        .into_iter()
        .find(|(queue, _)| *queue == Queue::StripeEvents)
        .unwrap();
    let options = Options {
        concurrency,
        prefetch: concurrency,
        ..Options::default()
    };
    // A pool as small as in production.
    let ctx = Ctx {
        db: world.postgres.open(3).unwrap(),
        ..world.another_worker("worker-1")
    };
    let mut running = JoinSet::new();
    running.spawn(run(
        &host,
        Queue::StripeEvents,
        Arc::new(registry()),
        Arc::new(ctx),
        options,
        &stop,
    ));
    until(async || {
        world
            .rows("SELECT to_jsonb(1) FROM inbox WHERE state = 'done'")
            .await
            .len()
            == 50
    })
    .await;
    stop.cancel();
    running
        .join_all()
        .await
        .into_iter()
        .for_each(|ended| ended.unwrap());
    let reads = world.reads(&subscription);
    assert!((1..=3).contains(&reads), "{reads} reads");
}
