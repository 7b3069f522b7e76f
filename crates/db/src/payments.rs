//! Payments that were given back, disputed or warned of, as they were last read: `payments`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    ids::{MemberId, StripeSubscriptionId},
    reversal::{DisputeStage, Payment},
};

use crate::{
    Connection, DbError,
    convert::{parse, uuids},
    subscriptions::ReadMark,
};

/// What a read of a charge brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRead {
    /// The charge.
    pub id: String,
    /// What it paid for.
    pub paid_for: PaidFor,
    /// What was paid and what became of it.
    pub payment: Payment,
    /// Three lower-case letters.
    pub currency: String,
    /// The mode.
    pub livemode: bool,
    /// When the read began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// What a payment was for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PaidFor {
    /// The payment intent, by which a one-time purchase is known.
    pub payment_intent: Option<String>,
    /// The subscription that its invoice was for.
    pub subscription: Option<StripeSubscriptionId>,
    /// The end of the period that it paid.
    pub period_end: Option<DateTime<Utc>>,
}

/// The newest write of a payment; `None` if it was never read.
pub async fn find_payment_mark(conn: &mut Connection, id: &str) -> Result<Option<ReadMark>, DbError> {
    Ok(sqlx::query_as!(
        ReadMark,
        "SELECT version, read_started_at FROM payments WHERE id = $1",
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// Writes a read over `mark`, the write that was there when the read began. Says whether that one was
/// still there: if not, another read was faster and this one must be made again.
pub async fn write_payment(
    conn: &mut Connection,
    read: &PaymentRead,
    mark: Option<ReadMark>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let (stage, disputed_at) = read.payment.dispute.unzip();
    let done = sqlx::query!(
        "INSERT INTO payments AS p (
           id, payment_intent, subscription_id, period_end, amount, amount_refunded, currency, created_at,
           dispute_stage, disputed_at, fraud_warning_at, livemode, read_started_at, updated_at, version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::bigint + 1)
         ON CONFLICT (id) DO UPDATE
         SET payment_intent = excluded.payment_intent, subscription_id = excluded.subscription_id,
             period_end = excluded.period_end, amount = excluded.amount,
             amount_refunded = excluded.amount_refunded, dispute_stage = excluded.dispute_stage,
             disputed_at = excluded.disputed_at, fraud_warning_at = excluded.fraud_warning_at,
             read_started_at = excluded.read_started_at, updated_at = excluded.updated_at,
             version = excluded.version
         WHERE p.version = $15",
        read.id,
        read.paid_for.payment_intent,
        read.paid_for
            .subscription
            .as_ref()
            .map(StripeSubscriptionId::as_str),
        read.paid_for.period_end,
        read.payment.amount,
        read.payment.amount_refunded,
        read.currency,
        read.payment.created_at,
        stage.map(DisputeStage::as_str),
        disputed_at,
        read.payment.fraud_warning_at,
        read.livemode,
        read.read_started_at,
        now,
        mark.map_or(0, |mark| mark.version),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The payments of people's subscriptions and purchases, the oldest first.
pub async fn list_payments_of(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<(PaidFor, Payment)>, DbError> {
    let rows = sqlx::query!(
        "SELECT p.id, p.payment_intent, p.subscription_id, p.period_end, p.amount, p.amount_refunded,
                p.created_at, p.dispute_stage, p.disputed_at, p.fraud_warning_at
         FROM payments p
         WHERE p.id IN (
           -- Each by its index, which an OR of both could not use.
           SELECT q.id FROM payments q JOIN subscriptions s ON s.id = q.subscription_id WHERE s.member_id = ANY($1)
           UNION
           SELECT q.id FROM payments q JOIN purchases b ON b.payment_intent = q.payment_intent
           WHERE b.member_id = ANY($1))
         ORDER BY p.created_at, p.id",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let subscription = row
                .subscription_id
                .map(|id| parse("payments", "subscription_id", &id));
            let stage = row
                .dispute_stage
                .map(|stage| stage_from_sql(&stage))
                .transpose()?;
            let paid_for = PaidFor {
                payment_intent: row.payment_intent,
                subscription: subscription.transpose()?,
                period_end: row.period_end,
            };
            let payment = Payment {
                amount: row.amount,
                amount_refunded: row.amount_refunded,
                created_at: row.created_at,
                dispute: stage.zip(row.disputed_at),
                fraud_warning_at: row.fraud_warning_at,
            };
            Ok((paid_for, payment))
        })
        .collect()
}

/// Waits for whoever else is at what a payment was for, and has others wait until the transaction ends: those who
/// write the payment, and those who write for the first time what was paid for. So the second of them sees what the
/// first one wrote. Comes before the locks on people.
pub async fn lock_paid_for(conn: &mut Connection, paid_for: &PaidFor) -> Result<(), DbError> {
    let subscription = paid_for.subscription.as_ref().map(|id| id.as_str().to_owned());
    let ids: Vec<String> = subscription
        .into_iter()
        .chain(paid_for.payment_intent.clone())
        .collect();
    sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended(u.id, 0)) FROM unnest($1::text[]) AS u (id)",
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The same for subscriptions, without waiting: returns those that nobody else is at.
pub async fn lock_free_paid_for(
    conn: &mut Connection,
    subscriptions: &[&StripeSubscriptionId],
) -> Result<Vec<StripeSubscriptionId>, DbError> {
    let ids: Vec<String> = subscriptions.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query_scalar!(
        r#"SELECT u.id AS "id!" FROM unnest($1::text[]) AS u (id)
           WHERE pg_try_advisory_xact_lock(hashtextextended(u.id, 0))"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|id| parse("subscriptions", "id", id)).collect()
}

/// Keeps whoever would give somebody what a payment was for from it until the transaction ends. Whoever has just
/// done so is waited for; returns whose it has become.
pub async fn lock_unclaimed(conn: &mut Connection, paid_for: &PaidFor) -> Result<Option<MemberId>, DbError> {
    let owners = sqlx::query_scalar!(
        r#"SELECT s.member_id FROM (SELECT member_id FROM subscriptions WHERE id = $1 FOR SHARE) AS s
           UNION ALL
           SELECT p.member_id FROM (SELECT member_id FROM purchases WHERE payment_intent = $2 FOR SHARE) AS p"#,
        paid_for.subscription.as_ref().map(StripeSubscriptionId::as_str),
        paid_for.payment_intent,
    )
    .fetch_all(conn)
    .await?;
    Ok(owners.into_iter().flatten().next().map(MemberId::from_uuid))
}

/// Whose purchase or subscription a payment was for; `None` for nobody we know.
pub async fn find_payer(conn: &mut Connection, paid_for: &PaidFor) -> Result<Option<MemberId>, DbError> {
    let id = sqlx::query_scalar!(
        r#"SELECT member_id AS "member_id!" FROM subscriptions WHERE id = $1 AND member_id IS NOT NULL
           UNION ALL
           SELECT member_id FROM purchases WHERE payment_intent = $2 AND member_id IS NOT NULL
           LIMIT 1"#,
        paid_for.subscription.as_ref().map(StripeSubscriptionId::as_str),
        paid_for.payment_intent,
    )
    .fetch_optional(conn)
    .await?;
    Ok(id.map(MemberId::from_uuid))
}

pub(crate) fn stage_from_sql(text: &str) -> Result<DisputeStage, DbError> {
    let stages = [
        DisputeStage::Inquiry,
        DisputeStage::Open,
        DisputeStage::Won,
        DisputeStage::Lost,
    ];
    let found = stages.into_iter().find(|stage| stage.as_str() == text);
    found.ok_or_else(|| DbError::Corrupt {
        table: "payments",
        column: "dispute_stage",
        detail: text.to_owned(),
    })
}
