//! What is kept of subscriptions and customers, as a sweep compares it with what Stripe says.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{MemberId, StripeCustomerId, StripePriceId, StripeSubscriptionId},
    reconcile::difference::Terms,
    subscription::SubscriptionStatus,
};

use crate::{
    Connection, DbError,
    convert::{parse, uuids},
};

/// A subscription as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSubscription {
    /// Stripe's id.
    pub id: StripeSubscriptionId,
    /// What it is.
    pub terms: Terms,
    /// The plan it was bought for.
    pub plan: Option<PlanSlug>,
    /// When the read behind it began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// Those of the subscriptions that are kept.
pub async fn list_known_subscriptions(
    conn: &mut Connection,
    ids: &[&StripeSubscriptionId],
) -> Result<Vec<KnownSubscription>, DbError> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT id, member_id, plan_slug, price_ids, quantity, status, collection_paused, current_period_end,
                cancel_at_period_end, cancel_at, ended_at, trial_end, owed_since, read_started_at
         FROM subscriptions WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let plan = row
                .plan_slug
                .map(|slug| parse("subscriptions", "plan_slug", &slug));
            Ok(KnownSubscription {
                id: parse("subscriptions", "id", &row.id)?,
                terms: Terms {
                    status: SubscriptionStatus::from(row.status),
                    prices: row.price_ids.into_iter().map(StripePriceId::new).collect(),
                    quantity: row.quantity,
                    collection_paused: row.collection_paused,
                    current_period_end: row.current_period_end,
                    cancel_at_period_end: row.cancel_at_period_end,
                    cancel_at: row.cancel_at,
                    ended_at: row.ended_at,
                    trial_end: row.trial_end,
                    owed_since: row.owed_since,
                    member_id: row.member_id.map(MemberId::from_uuid),
                },
                plan: plan.transpose()?,
                read_started_at: row.read_started_at,
            })
        })
        .collect()
}

/// How many subscriptions of a mode are kept.
pub async fn count_known_subscriptions(conn: &mut Connection, livemode: bool) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM subscriptions WHERE livemode = $1"#,
        livemode
    )
    .fetch_one(conn)
    .await?)
}

/// Up to `limit` ids, after `after`, of subscriptions that have not ended and were last read before
/// `read_before`.
pub async fn list_living_subscriptions(
    conn: &mut Connection,
    livemode: bool,
    read_before: DateTime<Utc>,
    after: Option<&StripeSubscriptionId>,
    limit: i64,
) -> Result<Vec<StripeSubscriptionId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM subscriptions
         WHERE livemode = $1 AND read_started_at < $2 AND status NOT IN ('canceled', 'incomplete_expired')
           AND ($3::text IS NULL OR id > $3)
         ORDER BY id LIMIT $4",
        livemode,
        read_before,
        after.map(StripeSubscriptionId::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|id| parse("subscriptions", "id", id)).collect()
}

/// Whose the customers are, where that is known.
pub async fn list_owners(
    conn: &mut Connection,
    customers: &[&StripeCustomerId],
) -> Result<Vec<(StripeCustomerId, MemberId)>, DbError> {
    let ids: Vec<String> = customers.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"SELECT id, member_id AS "member_id!" FROM stripe_customers
           WHERE id = ANY($1) AND member_id IS NOT NULL"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                parse("stripe_customers", "id", &row.id)?,
                MemberId::from_uuid(row.member_id),
            ))
        })
        .collect()
}

/// Those of the ids behind which there is a person.
pub async fn list_existing_members(
    conn: &mut Connection,
    ids: &[MemberId],
) -> Result<Vec<MemberId>, DbError> {
    let rows = sqlx::query_scalar!("SELECT id FROM members WHERE id = ANY($1)", &uuids(ids))
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
}

/// Whose a subscription is; `None` if that is not known or it is not kept.
pub async fn find_owner(
    conn: &mut Connection,
    id: &StripeSubscriptionId,
) -> Result<Option<MemberId>, DbError> {
    let row = sqlx::query_scalar!("SELECT member_id FROM subscriptions WHERE id = $1", id.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(row.flatten().map(MemberId::from_uuid))
}

/// Ends a subscription that Stripe does not know, over `version`, the one that was there when Stripe was
/// asked. Says whether that one was still there.
pub async fn end_unknown_subscription(
    conn: &mut Connection,
    id: &StripeSubscriptionId,
    version: i64,
    read_started_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE subscriptions
         SET status = 'canceled', ended_at = coalesce(ended_at, $4), owed_since = NULL, owed_invoice_url = NULL,
             read_started_at = $3, updated_at = $4, version = version + 1
         WHERE id = $1 AND version = $2",
        id.as_str(),
        version,
        read_started_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What counts as not read for too long.
#[derive(Debug, Clone, Copy)]
pub struct Staleness {
    /// Nothing was read since then.
    pub read_before: DateTime<Utc>,
    /// A period ended before then, and nothing was read since it was over for as long.
    pub ended_before: DateTime<Utc>,
    /// The time now.
    pub now: DateTime<Utc>,
}

/// Up to `limit` subscriptions that have not ended and should be read again, the longest unread first.
pub async fn list_stale_subscriptions(
    conn: &mut Connection,
    livemode: bool,
    stale: &Staleness,
    limit: i64,
) -> Result<Vec<StripeSubscriptionId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM subscriptions
         WHERE livemode = $1 AND status NOT IN ('canceled', 'incomplete_expired')
           AND (read_started_at < $2
             OR (current_period_end < $3
               AND read_started_at < current_period_end + ($4::timestamptz - $3::timestamptz)))
         ORDER BY read_started_at, id LIMIT $5",
        livemode,
        stale.read_before,
        stale.ended_before,
        stale.now,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|id| parse("subscriptions", "id", id)).collect()
}

/// When a webhook brought an event last, or, before the first one, since when subscriptions are kept; and what
/// tells that there must have been more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The last sign of life, by the database's clock.
    pub since: Option<DateTime<Utc>>,
    /// Live subscriptions whose period has ended since: their renewals must have made events.
    pub renewals: i64,
    /// Events that were made since, as the sweep found.
    pub swept: i64,
}

/// Looks how long Stripe has been silent.
pub async fn find_silence(
    conn: &mut Connection,
    livemode: bool,
    ended_before: DateTime<Utc>,
) -> Result<Silence, DbError> {
    Ok(sqlx::query_as!(
        Silence,
        r#"WITH last AS (
             SELECT coalesce(
               (SELECT max(seen_at) FROM inbox WHERE livemode = $1 AND NOT swept),
               (SELECT min(read_started_at) FROM subscriptions WHERE livemode = $1)) AS since)
           SELECT last.since, (
             SELECT count(*) FROM subscriptions s
             WHERE s.livemode = $1 AND s.status IN ('active', 'trialing', 'past_due')
               AND s.current_period_end > last.since AND s.current_period_end < $2) AS "renewals!", (
             SELECT count(*) FROM inbox i
             WHERE i.livemode = $1 AND i.swept AND i.seen_at > last.since) AS "swept!"
           FROM last"#,
        livemode,
        ended_before,
    )
    .fetch_one(conn)
    .await?)
}
