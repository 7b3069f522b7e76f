//! Stripe customers and whose they are: `stripe_customers`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{MemberId, StripeCustomerId};

use crate::{Connection, DbError, convert::parse};

/// Whose a customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerOwner {
    /// The person who was named, if there is such a person.
    pub named: Option<MemberId>,
    /// The person whose customer it is.
    pub linked: Option<MemberId>,
}

/// Keeps a customer; a person who is named is linked, and a link is never taken away by a sync that
/// does not know one. A customer without a link is locked until the transaction ends.
pub async fn upsert_customer(
    conn: &mut Connection,
    id: &StripeCustomerId,
    named: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<CustomerOwner, DbError> {
    let row = sqlx::query!(
        r#"WITH named AS (SELECT id FROM members WHERE id = $2),
                linked AS (SELECT member_id FROM stripe_customers WHERE id = $1 AND member_id IS NOT NULL),
                kept AS (
                  INSERT INTO stripe_customers (id, member_id, linked_at)
                  SELECT $1, (SELECT id FROM named), (SELECT $3::timestamptz FROM named)
                  WHERE NOT EXISTS (SELECT FROM linked)
                  ON CONFLICT (id) DO UPDATE
                  SET member_id = coalesce(stripe_customers.member_id, excluded.member_id),
                      linked_at = coalesce(stripe_customers.linked_at, excluded.linked_at)
                  RETURNING member_id)
           SELECT (SELECT id FROM named) AS named,
                  coalesce((SELECT member_id FROM linked), (SELECT member_id FROM kept)) AS linked"#,
        id.as_str(),
        named.map(MemberId::as_uuid),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(CustomerOwner {
        named: row.named.map(MemberId::from_uuid),
        linked: row.linked.map(MemberId::from_uuid),
    })
}

/// The customer of a person: the one linked first that Stripe still knows.
pub async fn find_customer_of(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Option<StripeCustomerId>, DbError> {
    let row = sqlx::query_scalar!(
        "SELECT id FROM stripe_customers WHERE member_id = $1 AND gone_at IS NULL
         ORDER BY linked_at, id LIMIT 1",
        member_id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|id| parse("stripe_customers", "id", &id)).transpose()
}

/// Notes that Stripe does not know a customer any more.
pub async fn set_customer_gone(
    conn: &mut Connection,
    id: &StripeCustomerId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE stripe_customers SET gone_at = $2 WHERE id = $1 AND gone_at IS NULL",
        id.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose customer it is, where that is known.
pub async fn find_member_of(
    conn: &mut Connection,
    id: &StripeCustomerId,
) -> Result<Option<MemberId>, DbError> {
    let linked = sqlx::query_scalar!(
        "SELECT member_id FROM stripe_customers WHERE id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(linked.flatten().map(MemberId::from_uuid))
}
