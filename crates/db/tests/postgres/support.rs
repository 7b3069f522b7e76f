//! A database for a test, and rows to put into it.

use std::{collections::BTreeSet, ops::Deref, str::FromStr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection, Database, DatabaseOptions, DbError, PoolerMode, Transaction,
    catalog::{PlanRow, upsert_plan, upsert_plan_prices},
    customers::upsert_customer,
    member_guilds::insert_member_guild,
    members::{Member, insert_member},
    subscriptions::{SubscriptionRead, Written, insert_subscription, update_subscriptions},
    testing::TestDatabase,
};
use rolecall_domain::{
    catalog::{EndPolicy, Plan, PlanKind, PlanSlug},
    ids::{DiscordUserId, GuildId, MemberId, RoleId, StripePriceId},
};
use secrecy::SecretString;
use tokio::{sync::Barrier, task::JoinSet};
use uuid::Uuid;

/// What is waited for has to happen within this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set by the test that runs all others through a pooler: the pooler's port.
pub(crate) const POOLER_PORT: &str = "ROLECALL_DB_TESTS_POOLER_PORT";

/// The server to make databases on.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
pub(crate) fn admin_url() -> SecretString {
    std::env::var("DATABASE_URL")
        .expect("DATABASE_URL must name a Postgres server on which databases may be made; `cargo xtask test` brings one")
        .into()
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn pooler_port() -> Option<String> {
    std::env::var(POOLER_PORT).ok()
}

/// A pool on a database of its own.
pub(crate) struct TestDb {
    database: Database,
    pub(crate) server: TestDatabase,
}

impl TestDb {
    pub(crate) async fn new() -> Self {
        let server = TestDatabase::create(&admin_url()).await.unwrap();
        let database = match pooler_port() {
            None => server.open(20).unwrap(),
            Some(port) => {
                let url = format!("postgres://anybody@127.0.0.1:{port}/{}", server.name());
                pooled(&url.into(), 20)
            }
        };
        Self { database, server }
    }

    /// A transaction; `Database::begin` without its error.
    pub(crate) async fn begin(&self) -> Transaction {
        self.database.begin().await.unwrap()
    }

    pub(crate) fn database(&self) -> Database {
        self.database.clone()
    }

    /// Waits until a statement of this database waits for a lock.
    pub(crate) async fn somebody_waits_for_a_lock(&self) {
        let direct = self.server.open(1).unwrap();
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')";
        soon(async {
            let mut ticks = tokio::time::interval(Duration::from_millis(2));
            loop {
                ticks.tick().await;
                let mut tx = direct.begin().await.unwrap();
                if sqlx::query_scalar(sql).fetch_one(&mut *tx).await.unwrap() {
                    return;
                }
            }
        })
        .await;
    }
}

impl Deref for TestDb {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

/// A pool through a pooler in transaction mode.
pub(crate) fn pooled(url: &SecretString, max_connections: u32) -> Database {
    let pooler = PoolerMode::Transaction;
    Database::new(&DatabaseOptions {
        url: url.clone(),
        pooler,
        max_connections,
    })
    .unwrap()
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

/// Runs `work` in as many tasks, which begin together. Returns what each brought.
pub(crate) async fn at_once<T, F>(tasks: u32, work: impl Fn(u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::try_from(tasks).unwrap()));
    let mut set = JoinSet::new();
    for task in 0..tasks {
        let (start, work) = (Arc::clone(&start), work(task));
        set.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    soon(set.join_all()).await
}

/// A moment, so many seconds after an arbitrary one.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 123_456_000).unwrap()
}

pub(crate) fn parse<T: FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn uuid(n: u32) -> Uuid {
    Uuid::from_u128(u128::from(n))
}

pub(crate) fn guild(n: u64) -> GuildId {
    GuildId::new(1000 + n).unwrap()
}

pub(crate) fn user(n: u64) -> DiscordUserId {
    DiscordUserId::new(2000 + n).unwrap()
}

pub(crate) fn role(n: u64) -> RoleId {
    RoleId::new(3000 + n).unwrap()
}

pub(crate) fn price(id: &str) -> StripePriceId {
    StripePriceId::new(id)
}

/// A person without anything.
pub(crate) async fn person(tx: &mut Transaction, n: u32) -> MemberId {
    let id = MemberId::from_uuid(uuid(n));
    let member = Member {
        id,
        display_name: format!("Person {n}"),
        email: None,
        created_at: at(0),
    };
    insert_member(tx, &member).await.unwrap();
    id
}

/// The row of user `n`, who is person `n`, in a server.
pub(crate) async fn in_guild(tx: &mut Transaction, guild_id: GuildId, n: u32) {
    let member_id = MemberId::from_uuid(uuid(n));
    insert_member_guild(tx, guild_id, user(n.into()), member_id)
        .await
        .unwrap();
}

/// A plan as plans mostly are.
pub(crate) fn plan_row(slug: &str, position: i32) -> PlanRow {
    PlanRow {
        plan: Plan {
            slug: parse(slug),
            name: slug.to_uppercase(),
            kind: PlanKind::Individual,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end: EndPolicy::Remove,
            roles: BTreeSet::new(),
            archived: false,
        },
        lifetime_prices: BTreeSet::new(),
        position,
        seat_policy: "grace".to_owned(),
        seat_grace_seconds: None,
        proration: "always".to_owned(),
        promotion_codes: true,
        tax: false,
    }
}

/// A stored plan, sold by `prices`.
pub(crate) async fn plan(tx: &mut Transaction, slug: &str, prices: &[&str]) -> PlanSlug {
    let row = plan_row(slug, 0);
    upsert_plan(tx, &row).await.unwrap();
    let prices: Vec<StripePriceId> = prices.iter().map(|id| price(id)).collect();
    upsert_plan_prices(tx, &row.plan.slug, &prices, false)
        .await
        .unwrap();
    row.plan.slug
}

/// A read of an active subscription that nobody holds and no plan sells.
pub(crate) fn read(id: &str) -> SubscriptionRead {
    SubscriptionRead {
        id: parse(id),
        customer: parse("cus_1"),
        member_id: None,
        plan: None,
        prices: Vec::new(),
        quantity: 1,
        status: parse("active"),
        collection_paused: false,
        current_period_end: None,
        cancel_at_period_end: false,
        cancel_at: None,
        ended_at: None,
        trial_end: None,
        owed_since: None,
        owed_invoice_url: None,
        livemode: false,
        read_started_at: at(0),
    }
}

/// Stores a first read, with its customer.
pub(crate) async fn subscribe(tx: &mut Transaction, read: &SubscriptionRead) {
    upsert_customer(tx, &read.customer, None, at(0)).await.unwrap();
    assert!(insert_subscription(tx, read, at(0)).await.unwrap());
}

/// Writes one read over the version that was there when it began; `None` if another read was faster.
pub(crate) async fn update_subscription(
    conn: &mut Connection,
    read: &SubscriptionRead,
    version: i64,
    now: DateTime<Utc>,
) -> Result<Option<Written>, DbError> {
    let written = update_subscriptions(conn, &[(read, version)], now).await?;
    assert!(written.iter().all(|(id, _)| *id == read.id));
    Ok(written.first().map(|(_, written)| *written))
}
