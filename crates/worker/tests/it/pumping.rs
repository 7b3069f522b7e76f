//! Kept events take effect by themselves: in an order that suits people, over several workers, and handed
//! on when a worker stops.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{Host, Metrics, Options, Push, Queue, jobs::StripeEvent, run};
use rolecall_sandbox::stripe::faults::{FaultKind, Snapshot};
use rolecall_worker::{
    ctx::Ctx,
    handlers::{QUEUES, registry},
    intake::{pump, refill},
};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{
    World, event,
    plans::{COUNCIL, member_role},
    soon, until,
};

/// Real workers of the queue of events, each with its pump.
pub(crate) struct Workers {
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Workers {
    pub(crate) fn start(world: &World, names: &[&str]) -> Self {
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        for name in names {
            // A pool as small as in production.
            let ctx = Arc::new(Ctx {
                db: world.postgres.open(3).unwrap(),
                ..world.another_worker(name)
            });
            let host = Host {
                link: world.redis.link.clone(),
                clock: world.clock.clone(),
                rng: world.rng.clone(),
                tasks: TaskTracker::new(),
                metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
                consumer: (*name).to_owned(),
            };
            let of_events = QUEUES
                .into_iter()
                .find(|(queue, _)| *queue == Queue::StripeEvents);
            let (queue, concurrency) = of_events.unwrap();
            let options = Options {
                concurrency,
                prefetch: concurrency,
                ..Options::default()
            };
            let kept = CancellationToken::new();
            let keeping = run(
                &host,
                queue,
                Arc::new(registry()),
                Arc::clone(&ctx),
                options,
                &stop,
            );
            let no_more = kept.clone().drop_guard();
            running.spawn(async move {
                keeping.await.unwrap();
                drop(no_more);
            });
            let pumping = refill::run(ctx, stop.clone(), kept);
            running.spawn(async move {
                pumping.await.unwrap();
            });
        }
        Self { stop, running }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.running.join_all()).await;
    }
}

impl World {
    /// Puts events on the queue.
    pub(crate) async fn push(&self, events: impl IntoIterator<Item = StripeEvent>) {
        let push = || Push::new(self.now(), uuid_v7(self.now(), &*self.rng));
        let jobs = events.into_iter().map(|event| (event, push()));
        self.worker.producer.push_all(jobs).await.unwrap();
    }

    /// How many events are in a state.
    pub(crate) async fn count(&self, state: &str) -> usize {
        let rows = self.rows("SELECT to_jsonb(state) FROM inbox").await;
        rows.iter().filter(|row| *row == state).count()
    }
}

/// That something about a subscription has changed.
pub(crate) fn updated(id: &str, object: &Value) -> StripeEvent {
    event(&json!({
        "id": id, "object": "event", "type": "customer.subscription.updated", "created": 1_790_000_000,
        "livemode": false, "data": { "object": object },
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_just_paid_overtakes_a_burst_of_events() {
    let world = World::start().await;
    let burst = (0..300).map(|n| {
        let subscription = world.buy_as_nobody(n);
        updated(
            &format!("evt_burst{n}"),
            &json!({ "id": subscription, "object": "subscription" }),
        )
    });
    world.push(burst.collect::<Vec<_>>()).await;
    let slow = FaultKind::Slow {
        delay_ms: 60,
        snapshot: Snapshot::Before,
    };
    world.fault("/v1/subscriptions/", 10_000, slow);
    let workers = Workers::start(&world, &["worker-1"]);
    until(async || world.count("done").await > 10).await;

    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let object = world.stripe.object(&subscription).unwrap();
    world.push([updated("evt_paid", &object)]).await;
    until(async || !world.subscriptions(&person).await.is_empty()).await;
    let waiting = world.count("pending").await;
    assert!(waiting > 100, "only {waiting} of the burst were still waiting");
    world.stripe.clear_request_faults();
    until(async || world.count("done").await == 301).await;
    workers.stop().await;
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_behind_thousands_of_events_that_nobody_has_kept_is_kept_before_most_of_them() {
    let world = World::start().await;
    let nobody = world.buy_as_nobody(0);
    let object = json!({ "id": nobody, "object": "subscription" });
    let burst = (0..3_000).map(|n| updated(&format!("evt_burst{n}"), &object));
    world.push(burst.collect::<Vec<_>>()).await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let object = world.stripe.object(&subscription).unwrap();
    world.push([updated("evt_paid", &object)]).await;

    let workers = Workers::start(&world, &["worker-1"]);
    until(async || world.count("done").await == 3_001).await;
    workers.stop().await;
    let kept_earlier = "SELECT to_jsonb(count(*)) FROM inbox WHERE seen_at < (SELECT seen_at FROM inbox WHERE event_id = 'evt_paid')";
    let kept_earlier = world.rows(kept_earlier).await[0].as_u64().unwrap();
    assert!(kept_earlier < 1_500, "{kept_earlier} of 3000 were kept before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_event_among_a_thousand_stops_no_other() {
    let world = World::start().await;
    let subscriptions: Vec<String> = (0..20).map(|n| world.buy_as_nobody(n)).collect();
    let events = (0..1_000).map(|n| {
        let id = if n == 500 {
            "sub_gone"
        } else {
            &subscriptions[n % 20]
        };
        updated(
            &format!("evt_{n}"),
            &json!({ "id": id, "object": "subscription" }),
        )
    });
    world.push(events.collect::<Vec<_>>()).await;
    let workers = Workers::start(&world, &["worker-1"]);
    until(async || world.count("done").await == 999).await;
    let poison = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state <> 'done'")
        .await;
    assert_eq!(
        (
            &poison[0]["event_id"],
            &poison[0]["state"],
            &poison[0]["attempts"]
        ),
        (&json!("evt_500"), &json!("pending"), &json!(1))
    );
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_is_away_the_events_wait_and_spend_no_attempts() {
    let world = World::start().await;
    let down = FaultKind::Status {
        status: 503,
        retry_after: None,
        applied: false,
    };
    world.fault("/v1/subscriptions/", 10_000, down);
    let events = (0..200).map(|n| {
        let subscription = world.buy_as_nobody(n);
        updated(
            &format!("evt_{n}"),
            &json!({ "id": subscription, "object": "subscription" }),
        )
    });
    world.push(events.collect::<Vec<_>>()).await;
    let workers = Workers::start(&world, &["worker-1"]);
    // The pause has begun, and a scout or two has come back.
    until(async || world.count("pending").await == 200 && world.stripe.requests().len() >= 5).await;
    let tried = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE attempts > 0")
        .await;
    // No more than ran when it began (48), and the scouts.
    assert!((1..=60).contains(&tried.len()), "{} were tried", tried.len());
    assert!(
        tried.iter().all(|row| row["attempts"] == 1),
        "one event was tried again and again"
    );
    world.stripe.clear_request_faults();
    // A scout that was refused just before notes later when it is tried again.
    until(async || {
        world.advance(chrono::TimeDelta::seconds(1));
        world.count("done").await == 200
    })
    .await;
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_finishes_what_runs_and_hands_the_rest_on() {
    let world = World::start().await;
    let slow = FaultKind::Slow {
        delay_ms: 100,
        snapshot: Snapshot::Before,
    };
    world.fault("/v1/subscriptions/", 10_000, slow);
    let events = (0..200).map(|n| {
        let subscription = world.buy_as_nobody(n);
        updated(
            &format!("evt_{n}"),
            &json!({ "id": subscription, "object": "subscription" }),
        )
    });
    world.push(events.collect::<Vec<_>>()).await;
    let workers = Workers::start(&world, &["worker-1"]);
    until(async || world.count("pending").await > 150 && world.count("done").await > 0).await;
    workers.stop().await;
    let rest = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state = 'pending'")
        .await;
    assert!(rest.len() > 50, "it stopped late: {} left", rest.len());
    let due_now = |row: &Value| {
        let next: DateTime<Utc> = row["next_attempt_at"].as_str().unwrap().parse().unwrap();
        next <= world.now()
    };
    assert!(rest.iter().all(due_now), "somebody has to wait: {rest:?}");
    // Another one takes it up without any time passing.
    world.stripe.clear_request_faults();
    let kept = world.count("pending").await + world.count("done").await;
    let workers = Workers::start(&world, &["worker-2"]);
    until(async || world.count("done").await == 200).await;
    workers.stop().await;
    assert!(kept <= 200, "{kept} rows of 200 events");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_in_the_inbox_is_worked_off_by_all_workers() {
    let world = World::start().await;
    let subscriptions: Vec<String> = (0..30).map(|n| world.buy_as_nobody(n)).collect();
    for n in 0..600 {
        let id = &subscriptions[n % 30];
        let event = updated(
            &format!("evt_{n}"),
            &json!({ "id": id, "object": "subscription" }),
        );
        world.keep(&event).await;
    }
    world.advance(chrono::TimeDelta::seconds(31));
    let workers = Workers::start(&world, &["worker-1", "worker-2", "worker-3"]);
    until(async || world.count("done").await == 600).await;
    workers.stop().await;
    let reads: usize = subscriptions.iter().map(|id| world.reads(id)).sum();
    assert!((30..=90).contains(&reads), "{reads} reads for 30 subscriptions");
}

#[tokio::test]
async fn answers_that_cannot_be_read_stop_no_other_event_unless_they_are_nobody_s_answers() {
    let world = World::start().await;
    let update = |number: usize, subscription: &str| {
        let object = json!({ "id": subscription, "object": "subscription" });
        updated(&format!("evt_{number}"), &object)
    };
    for number in 0..6 {
        let poison = world.buy_as_nobody(number);
        world.stripe.with(|stripe| {
            stripe.subscriptions.get_mut(&poison).unwrap().cancel_at = Some(i64::MAX);
        });
        world.deliver(&update(number, &poison)).await.unwrap_err();
    }
    let good = world.buy_as_nobody(6);
    world.hand_over(&world.worker, &update(6, &good)).await;
    let work = world
        .worker
        .pump
        .take(Instant::now())
        .expect("nobody is waited for");
    pump::run(&world.worker, work).await.unwrap();
    assert_eq!(world.count("done").await, 1);

    world.fault("/v1/subscriptions/", 3, FaultKind::Garbage);
    for number in 7..10 {
        let subscription = world.buy_as_nobody(number);
        world.deliver(&update(number, &subscription)).await.unwrap_err();
    }
    let later = world.buy_as_nobody(10);
    world.hand_over(&world.worker, &update(10, &later)).await;
    assert!(world.worker.pump.take(Instant::now()).is_none(), "Stripe is away");
}
