//! A world for a test: database, Redis, Stripe, mail, time, workers, and a bot, all stepped by hand.

pub(crate) mod bot;
pub(crate) mod clock;
mod jobs;
mod people;
pub(crate) mod plans;
pub(crate) mod receiver;
pub(crate) mod redis;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    inbox::{NewInboxEvent, insert_event},
    testing::TestDatabase,
};
use rolecall_domain::{clock::Clock, ids::uuid_v7};
use rolecall_queue::{Attempt, Documents, Producer, RetrySchedule, jobs::StripeEvent};
use rolecall_sandbox::{
    mail,
    stripe::{
        self, PriceSeed,
        faults::{FaultKind, RequestFault, Snapshot},
        world::{self, catalog::Interval},
    },
};
use rolecall_stripe::client::{Client, config::StripeClientConfig, retry::RetryPolicy};
use rolecall_worker::{
    catalog::CatalogCache,
    cron,
    ctx::Ctx,
    error::WorkError,
    handlers::stripe_event,
    intake::{
        keep::{HOLD, Keeper},
        pump::{self, Pump},
    },
    mail::Mailer,
    metrics::Metrics,
    sync::{turns::Turns, writer::Writer},
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use crate::support::{
    bot::Bot,
    clock::{ManualClock, SeededRng},
    people::Person,
    redis::{Redis, Taken},
};

/// What is waited for has to happen within this, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const SECRET_KEY: &str = "sk_test_worker";

/// Everything a test needs.
pub(crate) struct World {
    pub(crate) stripe: stripe::Simulator,
    pub(crate) mail: mail::Simulator,
    pub(crate) redis: Redis,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) rng: Arc<SeededRng>,
    /// The worker that does what no test says who does it.
    pub(crate) worker: Arc<Ctx>,
    pub(crate) postgres: TestDatabase,
    bot: Mutex<Bot>,
    people: AtomicU64,
    delivered: AtomicUsize,
}

impl World {
    pub(crate) async fn start() -> Self {
        ::rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let postgres = TestDatabase::create(&admin_url()).await.unwrap();
        let (clock, rng) = (Arc::new(ManualClock::start()), Arc::new(SeededRng::new(7)));
        let config = stripe::Config {
            clock: clock.simulated(),
            seed: Some(7),
            ..stripe::Config::new(SECRET_KEY)
        };
        let stripe = stripe::Simulator::start(config).await.unwrap();
        for (price, name) in [(plans::COUNCIL, "Council"), (plans::PATRON, "Patron")] {
            stripe.seed_price(&PriceSeed::usd(price, name, 2_900, Some(Interval::Month)));
        }
        let mail_config = mail::Config {
            clock: clock.simulated(),
            ..mail::Config::default()
        };
        let mail = mail::Simulator::start(mail_config).await.unwrap();
        let redis = Redis::new();
        let worker = context(&postgres, &redis, &stripe, &mail, &clock, &rng, "worker-0");
        let mut tx = worker.db.begin().await.unwrap();
        plans::apply(&mut tx).await;
        tx.commit().await.unwrap();
        Self {
            stripe,
            mail,
            redis,
            clock,
            rng,
            worker: Arc::new(worker),
            postgres,
            bot: Mutex::default(),
            people: AtomicU64::new(0),
            delivered: AtomicUsize::new(0),
        }
    }

    /// Another worker over the same database and Redis.
    pub(crate) fn another_worker(&self, name: &str) -> Ctx {
        context(
            &self.postgres,
            &self.redis,
            &self.stripe,
            &self.mail,
            &self.clock,
            &self.rng,
            name,
        )
    }

    pub(crate) fn bot(&self) -> MutexGuard<'_, Bot> {
        self.bot.lock().unwrap()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The first attempt of a job that is pushed now.
    pub(crate) fn attempt(&self) -> Attempt {
        self.nth_attempt(1, 9)
    }

    pub(crate) fn nth_attempt(&self, current: u32, max: u32) -> Attempt {
        Attempt {
            current,
            max,
            job_id: uuid_v7(self.now(), &*self.rng),
            enqueued_at: self.now(),
            redelivered: current > 1,
            traceparent: None,
        }
    }

    /// Every event that Stripe has made so far, the oldest first.
    pub(crate) fn events(&self) -> Vec<StripeEvent> {
        self.events_from(0)
    }

    /// The events that were not asked for yet.
    pub(crate) fn new_events(&self) -> Vec<StripeEvent> {
        let events = self.events_from(self.delivered.load(Ordering::SeqCst));
        self.delivered.fetch_add(events.len(), Ordering::SeqCst);
        events
    }

    /// Not all of what Stripe sends, but quickly: there are thousands in the longest tests.
    fn events_from(&self, place: usize) -> Vec<StripeEvent> {
        let told = |row: &world::event::Event| {
            let object: Value = serde_json::from_str(&row.object).unwrap();
            event(&json!({
                "id": row.id, "object": "event", "type": row.kind, "created": row.created, "livemode": false,
                "data": { "object": object },
            }))
        };
        self.stripe
            .read(|stripe| stripe.events.rows()[place..].iter().map(told).collect())
    }

    /// Keeps an event, as a worker does that then dies.
    pub(crate) async fn keep(&self, event: &StripeEvent) {
        let new = NewInboxEvent {
            id: &event.event_id,
            kind: &event.event_type,
            livemode: false,
            occurred_at: event.created,
            payload: &event.payload,
            next_attempt_at: self.now() + HOLD,
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_event(&mut tx, &new).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Delivers an event, and lets the worker do what follows from it.
    pub(crate) async fn deliver(&self, event: &StripeEvent) -> Result<(), WorkError> {
        self.deliver_to(&self.worker, event).await
    }

    /// Delivers an event to a worker, and lets that one do what follows from it.
    pub(crate) async fn deliver_to(&self, worker: &Arc<Ctx>, event: &StripeEvent) -> Result<(), WorkError> {
        self.hand_over(worker, event).await;
        work_off(worker).await
    }

    /// Lets the next attempts of what failed just now come, and has the worker make them.
    pub(crate) async fn try_again(&self) {
        self.advance(TimeDelta::seconds(31));
        self.take_up().await;
    }

    /// Has a worker keep an event, and nothing more.
    pub(crate) async fn hand_over(&self, worker: &Arc<Ctx>, event: &StripeEvent) {
        stripe_event::run(Arc::clone(worker), event.clone(), self.attempt())
            .await
            .unwrap();
    }

    /// Delivers what has happened at Stripe since the last time, in its order.
    pub(crate) async fn deliver_new(&self) {
        for event in self.new_events() {
            self.deliver(&event).await.unwrap();
        }
    }

    /// Delivers what has happened at Stripe, and lets everything come of it.
    pub(crate) async fn follow(&self) {
        self.deliver_new().await;
        self.settle().await;
    }

    /// Runs a recurring job, and expects it to succeed.
    pub(crate) async fn cron(&self, name: &str) -> Value {
        let id = uuid_v7(self.now(), &*self.rng);
        let mut tx = self.worker.db.begin().await.unwrap();
        rolecall_db::cron_runs::insert_manual_run(&mut tx, id, name, self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        cron::run_and_note(&self.worker, cron::find(name).unwrap(), id)
            .await
            .unwrap();
        let mut tx = self.worker.db.begin().await.unwrap();
        let run = rolecall_db::cron_runs::find_run(&mut tx, id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(run.state, "succeeded", "{name}: {:?}", run.outcome);
        run.outcome.unwrap_or_default().into()
    }

    /// Lets everything that is overdue become so, has it swept, and lets everything come of it.
    pub(crate) async fn sweep(&self) {
        self.advance(TimeDelta::hours(1));
        self.cron("due_sweep").await;
        self.settle().await;
    }

    /// Reads of a subscription that Stripe has answered.
    pub(crate) fn reads(&self, subscription: &str) -> usize {
        let path = format!("/v1/subscriptions/{subscription}");
        self.stripe
            .requests()
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    /// The next reads of a subscription take long, and tell how it was when they began.
    pub(crate) fn slow_reads(&self, subscription: &str, times: u32, delay_ms: u64) {
        let fault = FaultKind::Slow {
            delay_ms,
            snapshot: Snapshot::Before,
        };
        self.fault(subscription, times, fault);
    }

    /// The next requests whose path contains `part` are answered when they are let go, and tell how it was when
    /// they began.
    pub(crate) fn hold_reads(&self, part: &str, times: u32) {
        let held = FaultKind::Held {
            snapshot: Snapshot::Before,
        };
        self.fault(part, times, held);
    }

    /// The next requests whose path contains `part` go wrong.
    pub(crate) fn fault(&self, part: &str, times: u32, fault: FaultKind) {
        let path_contains = Some(part.to_owned());
        self.stripe.add_request_fault(RequestFault {
            path_contains,
            times: Some(times),
            fault,
        });
    }

    /// Rows as JSON, one value each.
    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Value> {
        self.postgres.rows(sql).await.unwrap()
    }

    /// The messages that are or were owed.
    pub(crate) async fn notifications(&self) -> Vec<Value> {
        self.rows("SELECT to_jsonb(t) FROM notifications t ORDER BY id")
            .await
    }
}

/// The server to make databases on.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn admin_url() -> secrecy::SecretString {
    std::env::var("DATABASE_URL")
        .expect("DATABASE_URL must name a Postgres server on which databases may be made; `cargo xtask test` brings one")
        .into()
}

fn context(
    postgres: &TestDatabase,
    redis: &Redis,
    stripe: &stripe::Simulator,
    mail: &mail::Simulator,
    clock: &Arc<ManualClock>,
    rng: &Arc<SeededRng>,
    name: &str,
) -> Ctx {
    let client = Client::new(StripeClientConfig {
        // Whoever steps the jobs decides what is tried again.
        retry: RetryPolicy {
            retries: 0,
            ..RetryPolicy::default()
        },
        refused_key: Duration::ZERO,
        first_quiet: Duration::ZERO,
        ..StripeClientConfig::new(stripe.origin().parse().unwrap(), SECRET_KEY.into(), rng.clone())
    });
    Ctx {
        name: name.to_owned(),
        db: postgres.open(5).unwrap(),
        link: redis.link.clone(),
        producer: Producer::new(&redis.link),
        documents: Documents::new(&redis.link),
        stripe: client.unwrap(),
        livemode: false,
        mailer: Some(Mailer::new(&mail.smtp_url().into(), "Council <hello@council.example>").unwrap()),
        public_url: Some("https://council.example".to_owned()),
        max_removals: None,
        default_grace: plans::GRACE,
        clock: clock.clone(),
        rng: rng.clone(),
        catalog: CatalogCache::default(),
        turns: Turns::default(),
        writer: Writer::default(),
        keeper: Keeper::default(),
        pump: Pump::new(false),
        retry: RetrySchedule::default(),
        metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
        stop: CancellationToken::new(),
    }
}

/// An event as the API puts it on the queue.
pub(crate) fn event(body: &Value) -> StripeEvent {
    StripeEvent {
        event_id: body["id"].as_str().unwrap().parse().unwrap(),
        event_type: body["type"].as_str().unwrap().to_owned(),
        created: DateTime::from_timestamp(body["created"].as_i64().unwrap(), 0).unwrap(),
        livemode: body["livemode"].as_bool().unwrap(),
        payload: serde_json::value::to_raw_value(body).unwrap(),
    }
}

/// Has a worker do all that waits in its memory. Returns the first failure; it stands with its events.
pub(crate) async fn work_off(worker: &Arc<Ctx>) -> Result<(), WorkError> {
    let mut result = Ok(());
    // As if every pause were over.
    let later = || Instant::now() + Duration::from_hours(1);
    while let Some(work) = worker.pump.take(later()) {
        result = result.and(pump::run(worker, work).await);
    }
    result
}

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
pub(crate) fn until(condition: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    soon(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !condition().await {
            ticks.tick().await;
        }
    })
}
