//! Checkout Sessions that we opened: `checkout_sessions`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{MemberId, StripeCheckoutSessionId, StripeSubscriptionId},
};

use crate::{Connection, DbError, convert::parse, error::one_row};

/// Where a purchase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckoutState {
    /// Not paid yet.
    Open,
    /// Paid, or nothing had to be paid.
    Complete,
    /// Given up.
    Expired,
}

impl CheckoutState {
    /// The word for it in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// A Checkout Session that we opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// Stripe's id.
    pub id: StripeCheckoutSessionId,
    /// Who buys.
    pub member_id: MemberId,
    /// What they buy.
    pub plan: PlanSlug,
    /// The free days that it gives; zero for none.
    pub trial_days: u32,
    /// Where it stands.
    pub state: CheckoutState,
    /// What came of it.
    pub subscription: Option<StripeSubscriptionId>,
}

/// Notes a session that was opened.
pub async fn insert_checkout(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
    member_id: MemberId,
    plan: &PlanSlug,
    trial_days: u32,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO checkout_sessions (id, member_id, plan_slug, trial_days, state, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'open', $5, $5)",
        id.as_str(),
        member_id.as_uuid(),
        plan.as_str(),
        i32::try_from(trial_days).unwrap_or(i32::MAX),
        now,
    )
    .execute(conn)
    .await?;
    one_row("checkout_sessions", &done)
}

/// The session with this id.
pub async fn find_checkout(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
) -> Result<Option<Checkout>, DbError> {
    let row = sqlx::query!(
        "SELECT id, member_id, plan_slug, trial_days, state, subscription_id FROM checkout_sessions
         WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let table = "checkout_sessions";
    Ok(Some(Checkout {
        id: parse(table, "id", &row.id)?,
        member_id: MemberId::from_uuid(row.member_id),
        plan: parse(table, "plan_slug", &row.plan_slug)?,
        trial_days: u32::try_from(row.trial_days).unwrap_or_default(),
        state: match row.state.as_str() {
            "open" => CheckoutState::Open,
            "complete" => CheckoutState::Complete,
            "expired" => CheckoutState::Expired,
            other => {
                return Err(DbError::Corrupt {
                    table,
                    column: "state",
                    detail: other.to_owned(),
                });
            }
        },
        subscription: row
            .subscription_id
            .map(|id| parse(table, "subscription_id", &id))
            .transpose()?,
    }))
}

/// Notes how a session ended. A session that is complete stays so.
pub async fn set_checkout_state(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
    state: CheckoutState,
    subscription: Option<&StripeSubscriptionId>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE checkout_sessions
         SET state = $2, subscription_id = coalesce($3, subscription_id), updated_at = $4
         WHERE id = $1 AND state <> 'complete'",
        id.as_str(),
        state.as_str(),
        subscription.map(StripeSubscriptionId::as_str),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Sessions that nobody has told us the end of, opened between the two times.
pub async fn list_open_checkouts(
    conn: &mut Connection,
    opened_after: DateTime<Utc>,
    opened_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StripeCheckoutSessionId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM checkout_sessions
         WHERE state = 'open' AND created_at > $1 AND created_at <= $2
         ORDER BY updated_at LIMIT $3",
        opened_after,
        opened_before,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|id| parse("checkout_sessions", "id", id))
        .collect()
}

/// Notes that an open session was looked at, so that the next look starts with others.
pub async fn touch_checkout(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE checkout_sessions SET updated_at = $2 WHERE id = $1",
        id.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
