//! Subscriptions as they were last read from Stripe: `subscriptions`.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{MemberId, StripeCustomerId, StripePriceId, StripeSubscriptionId},
    member::{Holding, HoldingId},
    reversal::Reversal,
    standing::{Standing, standing},
    subscription::{Subscription, SubscriptionStatus},
};

use crate::{
    Connection, DbError,
    convert::{parse, uuids},
    error::one_row,
};

/// Which write a read may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMark {
    /// The version that was there when the read began.
    pub version: i64,
    /// When the read behind that version began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// What a read of a subscription brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionRead {
    /// Stripe's id.
    pub id: StripeSubscriptionId,
    /// Stripe's customer.
    pub customer: StripeCustomerId,
    /// Whose it is, where known.
    pub member_id: Option<MemberId>,
    /// The plan its price sells.
    pub plan: Option<PlanSlug>,
    /// The prices of its items.
    pub prices: Vec<StripePriceId>,
    /// How many of them.
    pub quantity: i64,
    /// Stripe's status.
    pub status: SubscriptionStatus,
    /// `pause_collection` is set.
    pub collection_paused: bool,
    /// When the paid period ends.
    pub current_period_end: Option<DateTime<Utc>>,
    /// It ends with the paid period.
    pub cancel_at_period_end: bool,
    /// It ends then.
    pub cancel_at: Option<DateTime<Utc>>,
    /// It ended then.
    pub ended_at: Option<DateTime<Utc>>,
    /// The trial ends then.
    pub trial_end: Option<DateTime<Utc>>,
    /// First failed attempt of what is owed.
    pub owed_since: Option<DateTime<Utc>>,
    /// Where to pay what is owed.
    pub owed_invoice_url: Option<String>,
    /// The mode.
    pub livemode: bool,
    /// When the read began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// A stored subscription, with what pages show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSubscription {
    /// The facts that decide its standing.
    pub facts: Subscription,
    /// The prices of its items.
    pub prices: Vec<StripePriceId>,
    /// The plan's price was bought this many times.
    pub quantity: i64,
    /// When the paid period ends.
    pub current_period_end: Option<DateTime<Utc>>,
    /// It ends with the paid period.
    pub cancel_at_period_end: bool,
    /// Where to pay what is owed.
    pub owed_invoice_url: Option<String>,
    /// It gave access at some time.
    pub had_access: bool,
    /// The standing as the last convergence derived it.
    pub standing: Standing,
    /// Since when.
    pub standing_since: Option<DateTime<Utc>>,
}

impl StoredSubscription {
    /// What it is worth at `now`, plan by plan: the one it was bought for first, then those that its
    /// other items pay for.
    pub fn holdings(
        &self,
        reversal: Option<Reversal>,
        catalog: &Catalog,
        default_grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Vec<Holding> {
        let facts = Subscription {
            reversal,
            ..self.facts.clone()
        };
        let first = self.facts.plan.clone();
        let others = catalog
            .plans_selling(&self.prices)
            .into_iter()
            .map(|plan| Some(plan.slug.clone()));
        let others: Vec<_> = others.filter(|plan| *plan != first).collect();
        std::iter::once(first)
            .chain(others)
            .map(|plan| {
                let grace = catalog.grace(plan.as_ref(), default_grace);
                self.holding(plan, standing(&facts, grace, now), now)
            })
            .collect()
    }

    /// What it is worth by its last convergence.
    pub fn last_holding(&self) -> Holding {
        self.holding(
            self.facts.plan.clone(),
            self.standing,
            self.standing_since.unwrap_or_default(),
        )
    }

    fn holding(&self, plan: Option<PlanSlug>, standing: Standing, now: DateTime<Utc>) -> Holding {
        let lasting = standing.kind() == self.standing.kind();
        Holding {
            id: HoldingId::Subscription(self.facts.id.clone()),
            plan,
            standing,
            since: self.standing_since.filter(|_| lasting).or(Some(now)),
            had_access: self.had_access,
        }
    }
}

/// The newest write of a subscription; `None` if it was never read.
pub async fn find_read_mark(
    conn: &mut Connection,
    id: &StripeSubscriptionId,
) -> Result<Option<ReadMark>, DbError> {
    Ok(sqlx::query_as!(
        ReadMark,
        "SELECT version, read_started_at FROM subscriptions WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?)
}

/// When what is owed was first owed, as stored.
pub async fn find_owed_since(
    conn: &mut Connection,
    id: &StripeSubscriptionId,
) -> Result<Option<DateTime<Utc>>, DbError> {
    let row = sqlx::query_scalar!("SELECT owed_since FROM subscriptions WHERE id = $1", id.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(row.flatten())
}

/// Writes a first read. Says whether it was the first: if not, the read must be made again.
pub async fn insert_subscription(
    conn: &mut Connection,
    read: &SubscriptionRead,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let prices: Vec<String> = read
        .prices
        .iter()
        .map(|price| price.as_str().to_owned())
        .collect();
    let done = sqlx::query!(
        "INSERT INTO subscriptions (
           id, customer_id, member_id, plan_slug, price_ids, quantity, status, collection_paused,
           current_period_end, cancel_at_period_end, cancel_at, ended_at, trial_end, owed_since,
           owed_invoice_url, livemode, read_started_at, updated_at,
           standing, grace_until, had_access, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
           'pending', NULL, false, 1)
         ON CONFLICT (id) DO NOTHING",
        read.id.as_str(),
        read.customer.as_str(),
        read.member_id.map(MemberId::as_uuid),
        read.plan.as_ref().map(PlanSlug::as_str),
        &prices,
        read.quantity,
        read.status.as_str(),
        read.collection_paused,
        read.current_period_end,
        read.cancel_at_period_end,
        read.cancel_at,
        read.ended_at,
        read.trial_end,
        read.owed_since,
        read.owed_invoice_url,
        read.livemode,
        read.read_started_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a read that was written said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// What was known already.
    Unchanged,
    /// Something new.
    Changed {
        /// Whose it was, if it has become somebody else's.
        taken_from: Option<MemberId>,
    },
}

/// Writes reads, each over the version that was there when it began. Those that are not answered for were overtaken.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn update_subscriptions(
    conn: &mut Connection,
    reads: &[(&SubscriptionRead, i64)],
    now: DateTime<Utc>,
) -> Result<Vec<(StripeSubscriptionId, Written)>, DbError> {
    macro_rules! column {
        ($read:ident => $value:expr) => {
            reads.iter().map(|($read, _)| $value).collect::<Vec<_>>()
        };
    }
    let versions: Vec<i64> = reads.iter().map(|(_, version)| *version).collect();
    let price_ids =
        column!(read => read.prices.iter().map(StripePriceId::as_str).collect::<serde_json::Value>());
    let rows = sqlx::query!(
        r#"UPDATE subscriptions s
         SET customer_id = r.customer_id, member_id = coalesce(r.member_id, s.member_id), price_ids = r.price_ids,
             -- A price that the plans file no longer names keeps the plan it was bought for.
             plan_slug = CASE WHEN s.price_ids = r.price_ids THEN coalesce(r.plan_slug, s.plan_slug)
                              ELSE r.plan_slug END,
             quantity = r.quantity, status = r.status, collection_paused = r.collection_paused,
             current_period_end = r.current_period_end, cancel_at_period_end = r.cancel_at_period_end,
             cancel_at = r.cancel_at, ended_at = r.ended_at, trial_end = r.trial_end, owed_since = r.owed_since,
             owed_invoice_url = r.owed_invoice_url, livemode = r.livemode, read_started_at = r.read_started_at,
             updated_at = $19, version = s.version + 1
         FROM (
           SELECT id, version, customer_id, member_id, plan_slug,
                  ARRAY(SELECT jsonb_array_elements_text(prices)) AS price_ids, quantity, status, collection_paused,
                  current_period_end, cancel_at_period_end, cancel_at, ended_at, trial_end, owed_since,
                  owed_invoice_url, livemode, read_started_at
           FROM unnest($1::text[], $2::bigint[], $3::text[], $4::uuid[], $5::text[], $6::jsonb[], $7::bigint[],
                       $8::text[], $9::boolean[], $10::timestamptz[], $11::boolean[], $12::timestamptz[],
                       $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::text[], $17::boolean[],
                       $18::timestamptz[])
             AS u (id, version, customer_id, member_id, plan_slug, prices, quantity, status, collection_paused,
                   current_period_end, cancel_at_period_end, cancel_at, ended_at, trial_end, owed_since,
                   owed_invoice_url, livemode, read_started_at)) r,
           subscriptions old
         WHERE s.id = r.id AND s.version = r.version AND old.id = r.id
         RETURNING s.id,
                   (old.customer_id, old.member_id, old.price_ids, old.plan_slug, old.quantity, old.status,
                    old.collection_paused, old.current_period_end, old.cancel_at_period_end, old.cancel_at,
                    old.ended_at, old.trial_end, old.owed_since, old.owed_invoice_url, old.livemode)
               IS NOT DISTINCT FROM
                   (s.customer_id, s.member_id, s.price_ids, s.plan_slug, s.quantity, s.status,
                    s.collection_paused, s.current_period_end, s.cancel_at_period_end, s.cancel_at,
                    s.ended_at, s.trial_end, s.owed_since, s.owed_invoice_url, s.livemode) AS "unchanged!",
                   CASE WHEN old.member_id <> s.member_id THEN old.member_id END AS taken_from"#,
        &column!(read => read.id.as_str()) as &[&str],
        &versions,
        &column!(read => read.customer.as_str()) as &[&str],
        &column!(read => read.member_id.map(MemberId::as_uuid)) as &[Option<uuid::Uuid>],
        &column!(read => read.plan.as_ref().map(PlanSlug::as_str)) as &[Option<&str>],
        &price_ids,
        &column!(read => read.quantity),
        &column!(read => read.status.as_str()) as &[&str],
        &column!(read => read.collection_paused),
        &column!(read => read.current_period_end) as &[Option<DateTime<Utc>>],
        &column!(read => read.cancel_at_period_end),
        &column!(read => read.cancel_at) as &[Option<DateTime<Utc>>],
        &column!(read => read.ended_at) as &[Option<DateTime<Utc>>],
        &column!(read => read.trial_end) as &[Option<DateTime<Utc>>],
        &column!(read => read.owed_since) as &[Option<DateTime<Utc>>],
        &column!(read => read.owed_invoice_url.as_deref()) as &[Option<&str>],
        &column!(read => read.livemode),
        &column!(read => read.read_started_at),
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let written = if row.unchanged {
                Written::Unchanged
            } else {
                Written::Changed {
                    taken_from: row.taken_from.map(MemberId::from_uuid),
                }
            };
            Ok((parse("subscriptions", "id", &row.id)?, written))
        })
        .collect()
}

/// Keeps what a convergence derived of a subscription.
pub async fn set_standing(
    conn: &mut Connection,
    id: &StripeSubscriptionId,
    standing: Standing,
    since: Option<DateTime<Utc>>,
    gives_access: bool,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE subscriptions
         SET standing = $2, grace_until = $3, standing_since = $4, had_access = had_access OR $5
         WHERE id = $1",
        id.as_str(),
        standing.name(),
        standing.grace_until(),
        since,
        gives_access,
    )
    .execute(conn)
    .await?;
    one_row("subscriptions", &done)
}

/// The person's subscriptions, in the order of their ids.
pub async fn list_subscriptions_of(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Vec<StoredSubscription>, DbError> {
    let listed = list_subscriptions_of_many(conn, &[member_id]).await?;
    Ok(listed.into_iter().map(|(_, stored)| stored).collect())
}

/// The subscriptions of several people, each with whose it is.
pub async fn list_subscriptions_of_many(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<(MemberId, StoredSubscription)>, DbError> {
    let rows = sqlx::query!(
        "SELECT member_id AS \"member_id!\", id, plan_slug, price_ids, quantity, status, collection_paused, current_period_end,
                cancel_at_period_end, owed_since, owed_invoice_url, standing, standing_since, grace_until,
                had_access
         FROM subscriptions WHERE member_id = ANY($1) ORDER BY id",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    let table = "subscriptions";
    rows.into_iter()
        .map(|row| {
            let standing =
                Standing::from_parts(&row.standing, row.grace_until).ok_or_else(|| DbError::Corrupt {
                    table,
                    column: "standing",
                    detail: row.standing.clone(),
                })?;
            let stored = StoredSubscription {
                facts: Subscription {
                    id: parse(table, "id", &row.id)?,
                    plan: row
                        .plan_slug
                        .map(|slug| parse(table, "plan_slug", &slug))
                        .transpose()?,
                    status: SubscriptionStatus::from(row.status),
                    collection_paused: row.collection_paused,
                    owed_since: row.owed_since,
                    reversal: None,
                    last_standing: Some(standing),
                },
                prices: row.price_ids.into_iter().map(StripePriceId::new).collect(),
                quantity: row.quantity,
                current_period_end: row.current_period_end,
                cancel_at_period_end: row.cancel_at_period_end,
                owed_invoice_url: row.owed_invoice_url,
                had_access: row.had_access,
                standing,
                standing_since: row.standing_since,
            };
            Ok((MemberId::from_uuid(row.member_id), stored))
        })
        .collect()
}

/// Matches stored subscriptions with the plans that sell their prices now: the catalog changed.
pub async fn rematch_plans(conn: &mut Connection) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE subscriptions s
         SET plan_slug = m.plan_slug
         FROM (
           SELECT s.id, (
             SELECT p.plan_slug FROM unnest(s.price_ids) WITH ORDINALITY AS u (price_id, n)
             JOIN plan_prices p ON p.price_id = u.price_id AND NOT p.lifetime
             ORDER BY u.n LIMIT 1) AS plan_slug
           FROM subscriptions s) m
         WHERE m.id = s.id AND m.plan_slug IS NOT NULL AND m.plan_slug IS DISTINCT FROM s.plan_slug"
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// A status that is none of those asked for, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherStatus {
    /// Stripe's word for it.
    pub status: SubscriptionStatus,
    /// How many subscriptions have it.
    pub count: i64,
    /// The first of them.
    pub first: StripeSubscriptionId,
}

/// The statuses of subscriptions that are none of `known`, in the order of their names.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn list_other_statuses(conn: &mut Connection, known: &[&str]) -> Result<Vec<OtherStatus>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT status, count(*) AS "count!", min(id) AS "first!"
           FROM subscriptions WHERE status <> ALL($1) GROUP BY status ORDER BY status"#,
        known as &[&str],
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OtherStatus {
                status: SubscriptionStatus::from(row.status),
                count: row.count,
                first: parse("subscriptions", "id", &row.first)?,
            })
        })
        .collect()
}
