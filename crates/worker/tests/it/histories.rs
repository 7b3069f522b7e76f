//! Random histories, told in any order, number and delay, and a tenth of it not at all, to racing workers
//! whose reads are slow and old by then. Then one sweep of what was missed: the end is what an oracle says
//! that knows only Stripe's final truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::ids::RoleId;
use rolecall_queue::jobs::StripeEvent;
use rolecall_sandbox::{
    rng::Rng,
    stripe::{
        story::Action,
        world::{World as Stripe, invoice::InvoiceStatus, subscription::Status},
    },
};
use rolecall_worker::{ctx::Ctx, error::WorkError};
use tokio::task::JoinSet;

use crate::support::{
    Person, Redis, World,
    plans::{COUNCIL, GRACE, PATRON, debtor_role, member_role, patron_role},
    soon, until,
};

const HISTORIES: u64 = 16;

/// The roles that somebody should have, from what Stripe knows in the end.
fn oracle(stripe: &Stripe, subscriptions: &[String], now: DateTime<Utc>) -> BTreeSet<RoleId> {
    let failures = first_failures(stripe);
    let mut roles = BTreeSet::new();
    for id in subscriptions {
        let subscription = stripe.subscription(id).unwrap();
        let owed = stripe.invoices.rows().iter().filter(|invoice| {
            invoice.subscription.as_ref() == Some(id)
                && matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
                && invoice.attempt_count > 0
        });
        let owed_since = owed
            .filter_map(|invoice| failures.get(invoice.id.as_str()))
            .min()
            .copied();
        let (access, debt) = match subscription.status {
            Status::Active | Status::Trialing => (subscription.pause_collection.is_none(), false),
            Status::PastDue | Status::Unpaid => (now < owed_since.unwrap_or(now) + GRACE, true),
            Status::Paused if owed_since.is_some() => (now < owed_since.unwrap_or(now) + GRACE, true),
            _ => (false, false),
        };
        if access {
            roles.insert(member_role());
            if subscription.items[0].price == PATRON {
                roles.insert(patron_role());
            }
        }
        if debt {
            roles.insert(debtor_role());
        }
    }
    roles
}

/// When the first attempt on each invoice failed.
fn first_failures(stripe: &Stripe) -> BTreeMap<String, DateTime<Utc>> {
    let mut failures = BTreeMap::new();
    for event in stripe
        .events
        .rows()
        .iter()
        .filter(|event| event.kind == "invoice.payment_failed")
    {
        let invoice: serde_json::Value = serde_json::from_str(&event.object).unwrap();
        let id = invoice["id"].as_str().unwrap().to_owned();
        failures
            .entry(id)
            .or_insert_with(|| DateTime::from_timestamp(event.created, 0).unwrap());
    }
    failures
}

/// Something that can happen to a subscription in this status.
fn any_action(rng: &mut Rng, status: Status) -> Action {
    let price = if rng.chance(50) { COUNCIL } else { PATRON };
    let change = [
        Action::SetPrice {
            price: price.to_owned(),
        },
        Action::SetQuantity { quantity: 2 },
        Action::Cancel,
        Action::CancelAtPeriodEnd,
        Action::KeepAfterPeriodEnd,
        Action::ResumeCollection,
    ];
    let money: &[Action] = match status {
        Status::Active => &[
            Action::FailPayment,
            Action::Renew,
            Action::PauseCollection,
            Action::Pause,
        ],
        Status::PastDue => &[Action::PayOpenInvoice, Action::FailPayment, Action::MarkUnpaid],
        Status::Unpaid => &[Action::PayOpenInvoice],
        _ => &[Action::Resume],
    };
    if rng.chance(70) {
        pick(rng, money).clone()
    } else {
        pick(rng, &change).clone()
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    let place = usize::try_from(rng.below(u64::try_from(of.len()).unwrap())).unwrap();
    &of[place]
}

/// One history while it happens.
struct History {
    world: Arc<World>,
    workers: [Arc<Ctx>; 3],
    rng: Rng,
    subscriptions: Vec<String>,
    /// Deliveries that are yet to be made.
    waiting: Vec<StripeEvent>,
    under_way: JoinSet<()>,
}

impl History {
    async fn live(&mut self, person: &Person) {
        for _ in 0..=self.rng.below(2) {
            let price = *pick(&mut self.rng, &[COUNCIL, PATRON]);
            self.subscriptions.push(self.world.buy(person, price));
        }
        for _ in 0..5 + self.rng.below(6) {
            // What cannot happen to it now does not happen.
            let subscription = pick(&mut self.rng, &self.subscriptions).clone();
            let status = self
                .world
                .stripe
                .read(|stripe| stripe.subscription(&subscription).unwrap().status);
            self.world
                .stripe
                .act(&subscription, &any_action(&mut self.rng, status))
                .ok();
            if self.rng.chance(30) {
                self.world.slow_reads(&subscription, 1, 20 + self.rng.below(60));
            }
            if self.rng.chance(20) {
                // Something else in the same second.
                self.world
                    .stripe
                    .act(&subscription, &Action::SetQuantity { quantity: 3 })
                    .ok();
            }
            if self.rng.chance(40) {
                self.world
                    .advance(TimeDelta::hours(i64::try_from(self.rng.below(60)).unwrap()));
            }
            self.hear();
            self.deliver_some().await;
        }
        self.hear();
        while !self.waiting.is_empty() {
            self.deliver_some().await;
        }
        self.finish().await;
        self.end_with_a_slow_read().await;
        self.finish().await;
        // What failed, and what never came.
        self.world.advance(TimeDelta::seconds(31));
        self.world.take_up().await;
        self.world.stripe.clear_request_faults();
        self.world.cron("stripe_events_sweep").await;
        self.world.settle().await;
    }

    /// Waits for what is under way.
    async fn finish(&mut self) {
        while let Some(done) = soon(self.under_way.join_next()).await {
            done.unwrap();
        }
    }

    /// One worker asks, and hears the answer late. What happens meanwhile, which is the last that happens,
    /// is told to the other one.
    async fn end_with_a_slow_read(&mut self) {
        let world = Arc::clone(&self.world);
        let stripe = &world.stripe;
        let is_alive = |id: &&String| !stripe.read(|stripe| stripe.subscription(id).unwrap().over());
        let Some(subscription) = self.subscriptions.iter().find(is_alive).cloned() else {
            return;
        };
        stripe.clear_request_faults();
        stripe
            .act(&subscription, &Action::SetQuantity { quantity: 9 })
            .unwrap();
        let reads = world.reads(&subscription);
        world.slow_reads(&subscription, 1, 200);
        for event in world.new_events() {
            self.begin(0, event);
        }
        until(async || world.reads(&subscription) > reads).await;
        let status = stripe.read(|stripe| stripe.subscription(&subscription).unwrap().status);
        stripe.act(&subscription, &any_action(&mut self.rng, status)).ok();
        if self.rng.chance(50) {
            stripe.cancel(&subscription).ok();
        }
        for event in world.new_events() {
            self.begin(2, event);
        }
    }

    /// Begins a delivery to a worker.
    fn begin(&mut self, worker: usize, event: StripeEvent) {
        let (world, ctx) = (Arc::clone(&self.world), Arc::clone(&self.workers[worker]));
        self.under_way
            .spawn(async move { deliver(&world, &ctx, &event).await });
    }

    /// What has happened is to be delivered once to three times, if it is not lost.
    fn hear(&mut self) {
        for event in self.world.new_events() {
            if self.rng.chance(10) {
                continue;
            }
            for _ in 0..=self.rng.below(3) {
                self.waiting.push(event.clone());
            }
        }
    }

    /// Begins some deliveries, in any order, and waits for some of those under way.
    async fn deliver_some(&mut self) {
        for _ in 0..self.rng.below(12) {
            if self.waiting.is_empty() {
                break;
            }
            let place = self.rng.below(u64::try_from(self.waiting.len()).unwrap());
            let event = self.waiting.swap_remove(usize::try_from(place).unwrap());
            let worker = usize::try_from(self.rng.below(3)).unwrap();
            self.begin(worker, event);
        }
        for _ in 0..self.rng.below(10) {
            if let Some(done) = soon(self.under_way.join_next()).await {
                done.unwrap();
            }
        }
    }
}

/// Delivers an event. Only losing to other reads again and again is an excuse: it is tried again later.
async fn deliver(world: &World, ctx: &Arc<Ctx>, event: &StripeEvent) {
    match world.deliver_to(ctx, event).await {
        Ok(()) | Err(WorkError::Contended(_)) => {}
        Err(error) => panic!("{} failed: {error:?}", event.event_type),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_history_told_in_any_way_ends_as_stripe_knows_it() {
    let world = Arc::new(World::start().await);
    // The third one does not hear of the others' turns: it reads when they do.
    let apart = Redis::new();
    let [first, second, third] = ["worker-1", "worker-2", "worker-3"].map(|name| world.another_worker(name));
    let third = Ctx {
        link: apart.link.clone(),
        ..third
    };
    let workers = [first, second, third].map(Arc::new);
    let mut people = Vec::new();
    for seed in 0..HISTORIES {
        let person = world.person().await;
        let mut history = History {
            world: Arc::clone(&world),
            workers: workers.clone(),
            rng: Rng::new(seed),
            subscriptions: Vec::new(),
            waiting: Vec::new(),
            under_way: JoinSet::new(),
        };
        history.live(&person).await;
        people.push((seed, person, history.subscriptions));
    }
    world.cron("grace_expiry").await;
    world.settle().await;
    for (seed, person, subscriptions) in &people {
        let expected = world
            .stripe
            .read(|stripe| oracle(stripe, subscriptions, world.now()));
        let stored = world.subscriptions(person).await;
        assert_eq!(world.roles(person), expected, "history {seed}: {stored:#?}");
    }
    let open = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state NOT IN ('done', 'ignored')")
        .await;
    assert!(open.is_empty(), "{open:?}");
    let owed = world.notifications().await;
    let welcomes = owed.iter().filter(|row| row["kind"] == "welcome").count();
    let subscriptions = people.iter().map(|(_, _, subscriptions)| subscriptions.len());
    assert!(
        (1..=subscriptions.sum()).contains(&welcomes),
        "{welcomes} welcomes"
    );
    let sent = owed
        .iter()
        .filter(|row| row["state"] == "sent" && row["channel"] == "mail");
    assert_eq!(world.mail.messages().len(), sent.count(), "each mail once");
}
