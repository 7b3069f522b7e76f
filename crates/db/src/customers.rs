//! Stripe customers and whose they are: `stripe_customers`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{MemberId, StripeCustomerId};

use crate::{Connection, DbError, convert::parse};

/// Keeps a customer; a person who is named is linked, and a link is never taken away by a sync that
/// does not know one. Returns whose customer it is now.
pub async fn upsert_customer(
    conn: &mut Connection,
    id: &StripeCustomerId,
    member_id: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<Option<MemberId>, DbError> {
    let linked = sqlx::query_scalar!(
        r#"INSERT INTO stripe_customers (id, member_id, linked_at)
           VALUES ($1, $2, CASE WHEN $2::uuid IS NULL THEN NULL ELSE $3::timestamptz END)
           ON CONFLICT (id) DO UPDATE
           SET member_id = coalesce(stripe_customers.member_id, excluded.member_id),
               linked_at = coalesce(stripe_customers.linked_at, excluded.linked_at)
           RETURNING member_id"#,
        id.as_str(),
        member_id.map(MemberId::as_uuid),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(linked.map(MemberId::from_uuid))
}

/// Whose a customer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerOwner {
    /// The person who was named, if there is such a person.
    pub named: Option<MemberId>,
    /// The person whose customer it is. That stays so, once there is one.
    pub linked: Option<MemberId>,
    /// Subscriptions or purchases of the customer are nobody's yet.
    pub has_unclaimed: bool,
}

/// Whose each of some customers is, in their order, when somebody is named beside it.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn list_customer_owners(
    conn: &mut Connection,
    customers: &[(&StripeCustomerId, Option<MemberId>)],
) -> Result<Vec<CustomerOwner>, DbError> {
    let ids: Vec<&str> = customers.iter().map(|(id, _)| id.as_str()).collect();
    let named: Vec<_> = customers
        .iter()
        .map(|(_, named)| named.map(MemberId::as_uuid))
        .collect();
    let rows = sqlx::query!(
        r#"SELECT m.id AS "named?", c.member_id AS "linked?",
                  EXISTS (SELECT FROM subscriptions s WHERE s.customer_id = c.id AND s.member_id IS NULL)
                  OR EXISTS (SELECT FROM purchases p WHERE p.customer_id = c.id AND p.member_id IS NULL)
                    AS "has_unclaimed!"
           FROM unnest($1::text[], $2::uuid[]) WITH ORDINALITY AS u (customer_id, named, place)
           LEFT JOIN members m ON m.id = u.named
           LEFT JOIN stripe_customers c ON c.id = u.customer_id
           ORDER BY u.place"#,
        &ids as &[&str],
        &named as &[Option<uuid::Uuid>],
    )
    .fetch_all(conn)
    .await?;
    let owners = rows.into_iter().map(|row| CustomerOwner {
        named: row.named.map(MemberId::from_uuid),
        linked: row.linked.map(MemberId::from_uuid),
        has_unclaimed: row.has_unclaimed,
    });
    Ok(owners.collect())
}

/// Gives each of these people every subscription and purchase of their customer that nobody had yet. Returns who was
/// given something.
pub async fn link_unclaimed(
    conn: &mut Connection,
    owners: &[(&StripeCustomerId, MemberId)],
) -> Result<Vec<MemberId>, DbError> {
    let customers: Vec<String> = owners.iter().map(|(id, _)| id.as_str().to_owned()).collect();
    let members: Vec<_> = owners.iter().map(|(_, member_id)| member_id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        r#"WITH u AS (SELECT * FROM unnest($1::text[], $2::uuid[]) AS u (customer_id, member_id)),
           s AS (
             UPDATE subscriptions SET member_id = u.member_id FROM u
             WHERE subscriptions.customer_id = u.customer_id AND subscriptions.member_id IS NULL
             RETURNING u.member_id),
           p AS (
             UPDATE purchases SET member_id = u.member_id FROM u
             WHERE purchases.customer_id = u.customer_id AND purchases.member_id IS NULL
             RETURNING u.member_id)
           SELECT member_id AS "member_id!" FROM s UNION SELECT member_id FROM p"#,
        &customers,
        &members,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
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
