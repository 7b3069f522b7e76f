//! One-time purchases as they were last read from Stripe: `purchases`.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{MemberId, StripeCheckoutSessionId, StripeCustomerId},
    member::{Holding, HoldingId},
    reversal::Reversal,
    standing::{Standing, purchase_standing},
};

use crate::{
    Connection, DbError,
    convert::{parse, uuids},
    error::one_row,
    subscriptions::ReadMark,
};

/// What a read of a Checkout Session brought that sold something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurchaseRead {
    /// The Checkout Session.
    pub id: StripeCheckoutSessionId,
    /// Stripe's customer, where it made one.
    pub customer: Option<StripeCustomerId>,
    /// Whose it is, where known.
    pub member_id: Option<MemberId>,
    /// What was bought.
    pub plan: Option<PlanSlug>,
    /// The payment; none where nothing was to be paid.
    pub payment_intent: Option<String>,
    /// Whether the money has come.
    pub paid: bool,
    /// How much, in the smallest unit of the currency.
    pub amount: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When.
    pub bought_at: DateTime<Utc>,
    /// The mode.
    pub livemode: bool,
    /// When the read began, by the database's clock.
    pub read_started_at: DateTime<Utc>,
}

/// A stored purchase, with what pages show of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPurchase {
    /// The Checkout Session.
    pub id: StripeCheckoutSessionId,
    /// What was bought.
    pub plan: Option<PlanSlug>,
    /// The payment.
    pub payment_intent: Option<String>,
    /// Whether the money has come.
    pub paid: bool,
    /// How much, in the smallest unit of the currency.
    pub amount: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When.
    pub bought_at: DateTime<Utc>,
    /// It gave access at some time.
    pub had_access: bool,
    /// The standing as the last convergence derived it.
    pub standing: Standing,
    /// Since when.
    pub standing_since: Option<DateTime<Utc>>,
}

impl StoredPurchase {
    /// What it is worth at `now`, after what became of its payment.
    pub fn holding(
        &self,
        reversal: Option<Reversal>,
        catalog: &Catalog,
        default_grace: TimeDelta,
        now: DateTime<Utc>,
    ) -> Holding {
        let grace = catalog.grace(self.plan.as_ref(), default_grace);
        let standing = purchase_standing(self.paid, reversal, grace, now);
        let lasting = standing.kind() == self.standing.kind();
        Holding {
            id: HoldingId::Purchase(self.id.clone()),
            plan: self.plan.clone(),
            standing,
            since: self.standing_since.filter(|_| lasting).or(Some(now)),
            had_access: self.had_access,
        }
    }

    /// What it is worth by its last convergence.
    pub fn last_holding(&self) -> Holding {
        Holding {
            id: HoldingId::Purchase(self.id.clone()),
            plan: self.plan.clone(),
            standing: self.standing,
            since: self.standing_since,
            had_access: self.had_access,
        }
    }
}

/// The newest write of a purchase; `None` if it was never read.
pub async fn find_purchase_mark(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
) -> Result<Option<ReadMark>, DbError> {
    Ok(sqlx::query_as!(
        ReadMark,
        "SELECT version, read_started_at FROM purchases WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?)
}

/// Writes a read over `mark`, the write that was there when the read began. Says whether that one was
/// still there: if not, another read was faster and this one must be made again.
pub async fn write_purchase(
    conn: &mut Connection,
    read: &PurchaseRead,
    mark: Option<ReadMark>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO purchases AS p (
           id, customer_id, member_id, plan_slug, payment_intent, paid, amount, currency, bought_at, livemode,
           read_started_at, updated_at, version, standing, had_access)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::bigint + 1, 'pending', false)
         ON CONFLICT (id) DO UPDATE
         SET customer_id = excluded.customer_id, member_id = coalesce(excluded.member_id, p.member_id),
             plan_slug = coalesce(excluded.plan_slug, p.plan_slug), payment_intent = excluded.payment_intent,
             paid = excluded.paid, amount = excluded.amount, currency = excluded.currency,
             read_started_at = excluded.read_started_at, updated_at = excluded.updated_at,
             version = excluded.version
         WHERE p.version = $13",
        read.id.as_str(),
        read.customer.as_ref().map(StripeCustomerId::as_str),
        read.member_id.map(MemberId::as_uuid),
        read.plan.as_ref().map(PlanSlug::as_str),
        read.payment_intent,
        read.paid,
        read.amount,
        read.currency,
        read.bought_at,
        read.livemode,
        read.read_started_at,
        now,
        mark.map_or(0, |mark| mark.version),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The person's purchases, the oldest first.
pub async fn list_purchases_of(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Vec<StoredPurchase>, DbError> {
    let listed = list_purchases_of_many(conn, &[member_id]).await?;
    Ok(listed.into_iter().map(|(_, stored)| stored).collect())
}

/// The purchases of several people, each with whose it is.
pub async fn list_purchases_of_many(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<(MemberId, StoredPurchase)>, DbError> {
    let rows = sqlx::query!(
        "SELECT member_id AS \"member_id!\", id, plan_slug, payment_intent, paid, amount, currency, bought_at, standing, standing_since,
                grace_until, had_access
         FROM purchases WHERE member_id = ANY($1) ORDER BY bought_at, id",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    let table = "purchases";
    rows.into_iter()
        .map(|row| {
            let standing = Standing::from_parts(&row.standing, row.grace_until);
            let plan = row.plan_slug.map(|slug| parse(table, "plan_slug", &slug));
            let stored = StoredPurchase {
                id: parse(table, "id", &row.id)?,
                plan: plan.transpose()?,
                payment_intent: row.payment_intent,
                paid: row.paid,
                amount: row.amount,
                currency: row.currency,
                bought_at: row.bought_at,
                had_access: row.had_access,
                standing: standing.ok_or(DbError::Corrupt {
                    table,
                    column: "standing",
                    detail: row.standing,
                })?,
                standing_since: row.standing_since,
            };
            Ok((MemberId::from_uuid(row.member_id), stored))
        })
        .collect()
}

/// Keeps what a convergence derived of a purchase.
pub async fn set_purchase_standing(
    conn: &mut Connection,
    id: &StripeCheckoutSessionId,
    standing: Standing,
    since: Option<DateTime<Utc>>,
    gives_access: bool,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE purchases
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
    one_row("purchases", &done)
}
