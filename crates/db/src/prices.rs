//! What a plan's prices cost, as last read from Stripe: `plan_prices`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{MemberId, StripePriceId, StripeSubscriptionId},
};

use crate::{Connection, DbError, convert::parse, error::one_row};

/// A price on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Stripe's id.
    pub id: StripePriceId,
    /// The plan it sells.
    pub plan: PlanSlug,
    /// Bought once, for ever.
    pub lifetime: bool,
    /// In the currency's minor unit; `None` for tiers and for prices not read yet.
    pub unit_amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: Option<String>,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<String>,
    /// Every so many intervals.
    pub interval_count: Option<i32>,
}

impl Price {
    /// Whether it is paid once. Until Stripe has been asked, what the plans file says counts.
    pub const fn is_one_time(&self) -> bool {
        if self.is_read() {
            self.interval.is_none()
        } else {
            self.lifetime
        }
    }

    /// Whether it is not what the plans file takes it for: its buyers would pay for nothing, again and
    /// again.
    pub const fn is_misnamed(&self) -> bool {
        self.lifetime && !self.is_one_time()
    }

    const fn is_read(&self) -> bool {
        self.currency.is_some()
    }
}

/// What Stripe says of a price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRead<'a> {
    /// Stripe's id.
    pub id: &'a StripePriceId,
    /// Whether it may be bought.
    pub active: bool,
    /// In the currency's minor unit.
    pub unit_amount: Option<i64>,
    /// ISO 4217, lower case.
    pub currency: &'a str,
    /// `day`, `week`, `month` or `year`.
    pub interval: Option<&'a str>,
    /// Every so many intervals.
    pub interval_count: Option<i32>,
}

/// The prices on sale: of plans that are not archived, not known to be inactive, in order.
pub async fn list_prices_on_sale(conn: &mut Connection) -> Result<Vec<Price>, DbError> {
    let rows = sqlx::query!(
        "SELECT price_id, plan_slug, lifetime, unit_amount, currency, billing_interval, billing_interval_count
         FROM plan_prices JOIN plans ON plans.slug = plan_prices.plan_slug
         WHERE NOT plans.archived AND plan_prices.active IS DISTINCT FROM false
         ORDER BY plans.position, plans.slug, plan_prices.lifetime, plan_prices.position"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Price {
                id: StripePriceId::new(row.price_id),
                plan: parse("plan_prices", "plan_slug", &row.plan_slug)?,
                lifetime: row.lifetime,
                unit_amount: row.unit_amount,
                currency: row.currency,
                interval: row.billing_interval,
                interval_count: row.billing_interval_count,
            })
        })
        .collect()
}

/// The prices that a person's subscriptions are for, on sale or not, as far as the catalog knows them.
pub async fn list_prices_held_by(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Vec<(StripeSubscriptionId, Price)>, DbError> {
    let rows = sqlx::query!(
        "SELECT s.id, p.price_id, p.plan_slug, p.lifetime, p.unit_amount, p.currency, p.billing_interval,
                p.billing_interval_count
         FROM subscriptions s JOIN plan_prices p ON p.price_id = ANY (s.price_ids)
         WHERE s.member_id = $1
         ORDER BY s.id, p.position",
        member_id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let price = Price {
                id: StripePriceId::new(row.price_id),
                plan: parse("plan_prices", "plan_slug", &row.plan_slug)?,
                lifetime: row.lifetime,
                unit_amount: row.unit_amount,
                currency: row.currency,
                interval: row.billing_interval,
                interval_count: row.billing_interval_count,
            };
            Ok((parse("subscriptions", "id", &row.id)?, price))
        })
        .collect()
}

/// Prices that were never read, or not since `read_before`.
pub async fn list_stale_prices(
    conn: &mut Connection,
    read_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StripePriceId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT price_id FROM plan_prices WHERE read_at IS NULL OR read_at < $1
         ORDER BY read_at NULLS FIRST LIMIT $2",
        read_before,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(StripePriceId::new).collect())
}

/// Has all prices read again.
pub async fn set_prices_unread(conn: &mut Connection) -> Result<(), DbError> {
    sqlx::query!("UPDATE plan_prices SET read_at = NULL WHERE read_at IS NOT NULL")
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes a price off sale that Stripe does not know.
pub async fn set_price_gone(
    conn: &mut Connection,
    id: &StripePriceId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE plan_prices SET active = false, read_at = $2 WHERE price_id = $1",
        id.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what Stripe says of a price.
pub async fn set_price_read(
    conn: &mut Connection,
    read: &PriceRead<'_>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE plan_prices
         SET active = $2, unit_amount = $3, currency = $4, billing_interval = $5, billing_interval_count = $6,
             read_at = $7
         WHERE price_id = $1",
        read.id.as_str(),
        read.active,
        read.unit_amount,
        read.currency,
        read.interval,
        read.interval_count,
        now,
    )
    .execute(conn)
    .await?;
    one_row("plan_prices", &done)
}
