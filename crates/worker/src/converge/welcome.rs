//! The first message: a membership has begun.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    notifications::{NewNotification, insert_notification},
};
use rolecall_domain::ids::{MemberId, NotificationId, StripeSubscriptionId};
use serde_json::json;

use crate::{ctx::Ctx, error::WorkError, timing::HINT_OVERDUE};

/// Owes the welcome mail of a subscription, once. Returns its id if it became owed just now.
pub(super) async fn owe(
    conn: &mut Connection,
    ctx: &Ctx,
    member_id: MemberId,
    subscription: &StripeSubscriptionId,
    now: DateTime<Utc>,
) -> Result<Option<NotificationId>, WorkError> {
    let id = NotificationId::generate(now, &*ctx.rng);
    let new = NewNotification {
        id,
        member_id,
        kind: "welcome",
        dedup_key: &format!("welcome:{subscription}"),
        args: json!({ "subscription": subscription }),
        send_at: now + HINT_OVERDUE,
    };
    let owed = insert_notification(conn, &new, now).await?;
    Ok(owed.then_some(id))
}
