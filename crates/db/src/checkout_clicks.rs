//! Clicks on "buy": those that come close together and mean the same are one purchase:
//! `checkout_clicks`.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::ids::MemberId;

use crate::{Connection, DbError};

/// Clicks are forgotten after so long: by then Stripe has closed what they opened.
const KEPT: TimeDelta = TimeDelta::days(1);

/// When the person first clicked for this order, within the last `same_for`: the same for all clicks that
/// mean one purchase, also for those at the same time.
pub async fn note_click(
    conn: &mut Connection,
    member_id: MemberId,
    order_hash: &[u8],
    same_for: TimeDelta,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, DbError> {
    let first = sqlx::query_scalar!(
        "INSERT INTO checkout_clicks AS c (member_id, order_hash, clicked_at) VALUES ($1, $2, $3)
         ON CONFLICT (member_id, order_hash) DO UPDATE
         SET clicked_at = CASE WHEN c.clicked_at > $4 THEN c.clicked_at ELSE excluded.clicked_at END
         RETURNING clicked_at",
        member_id.as_uuid(),
        order_hash,
        now,
        now - same_for,
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "DELETE FROM checkout_clicks WHERE member_id = $1 AND clicked_at < $2",
        member_id.as_uuid(),
        now - KEPT,
    )
    .execute(conn)
    .await?;
    Ok(first)
}

/// Forgets the purchase that began with the click at `clicked_at`: the next click begins another one. One that
/// has begun since then stays.
pub async fn forget_click(
    conn: &mut Connection,
    member_id: MemberId,
    order_hash: &[u8],
    clicked_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM checkout_clicks WHERE member_id = $1 AND order_hash = $2 AND clicked_at = $3",
        member_id.as_uuid(),
        order_hash,
        clicked_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}
