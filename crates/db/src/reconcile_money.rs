//! What is kept of purchases and payments, as a sweep compares it with what Stripe says.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{MemberId, StripeCheckoutSessionId},
    reversal::DisputeStage,
};

use crate::{Connection, DbError, convert::parse, payments::stage_from_sql};

/// A purchase as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPurchase {
    /// The Checkout Session.
    pub id: StripeCheckoutSessionId,
    /// Whose it is.
    pub member_id: Option<MemberId>,
    /// Whether the money has come.
    pub paid: bool,
    /// When the read behind it began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// Those of the purchases that are kept.
pub async fn list_known_purchases(
    conn: &mut Connection,
    ids: &[&StripeCheckoutSessionId],
) -> Result<Vec<KnownPurchase>, DbError> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT id, member_id, paid, read_started_at FROM purchases WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(KnownPurchase {
                id: parse("purchases", "id", &row.id)?,
                member_id: row.member_id.map(MemberId::from_uuid),
                paid: row.paid,
                read_started_at: row.read_started_at,
            })
        })
        .collect()
}

/// Those of the Checkout Sessions that we opened: for whom, and for which plan.
pub async fn list_opened_checkouts(
    conn: &mut Connection,
    ids: &[&StripeCheckoutSessionId],
) -> Result<Vec<(StripeCheckoutSessionId, MemberId, PlanSlug)>, DbError> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT id, member_id, plan_slug FROM checkout_sessions WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                parse("checkout_sessions", "id", &row.id)?,
                MemberId::from_uuid(row.member_id),
                parse("checkout_sessions", "plan_slug", &row.plan_slug)?,
            ))
        })
        .collect()
}

/// A payment that something happened to, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPayment {
    /// The charge.
    pub id: String,
    /// What was given back.
    pub amount_refunded: i64,
    /// Where its dispute stands.
    pub dispute: Option<DisputeStage>,
    /// When the read behind it began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// Those of the payments that are kept.
pub async fn list_known_payments(
    conn: &mut Connection,
    charges: &[String],
) -> Result<Vec<KnownPayment>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, amount_refunded, dispute_stage, read_started_at FROM payments WHERE id = ANY($1)",
        charges
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stage = row.dispute_stage.map(|stage| stage_from_sql(&stage));
            Ok(KnownPayment {
                id: row.id,
                amount_refunded: row.amount_refunded,
                dispute: stage.transpose()?,
                read_started_at: row.read_started_at,
            })
        })
        .collect()
}
