//! The first message: a membership has begun.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    notifications::{NewNotification, insert_notification},
};
use rolecall_domain::{
    ids::{MemberId, NotificationId},
    member::HoldingId,
};
use serde_json::json;

use crate::{ctx::Ctx, error::WorkError, timing::HINT_OVERDUE};

/// Owes the welcome mail of what was bought, once. Returns its id if it became owed just now.
pub(super) async fn owe(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    holding: &HoldingId,
    now: DateTime<Utc>,
) -> Result<Option<NotificationId>, WorkError> {
    let id = NotificationId::generate(now, &*ctx.rng);
    let new = NewNotification {
        id,
        member_id,
        kind: "welcome",
        dedup_key: &format!("welcome:{holding}"),
        args: json!({ "subscription": holding }),
        send_at: now + HINT_OVERDUE,
    };
    let owed = insert_notification(conn, &new, now).await?;
    Ok(owed.then_some(id))
}
