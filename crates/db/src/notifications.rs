//! Messages owed to people, each once: `notifications`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{MemberId, NotificationId};
use serde_json::Value;

use crate::{Connection, DbError, error::one_row};

/// A message that is owed.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNotification<'a> {
    /// Our id, which also makes the mail's Message-ID.
    pub id: NotificationId,
    /// To whom.
    pub member_id: MemberId,
    /// Which message.
    pub kind: &'a str,
    /// What makes it the same message, however often its cause is seen.
    pub dedup_key: &'a str,
    /// What its text needs.
    pub args: Value,
    /// When it is sent unless the hint comes first.
    pub send_at: DateTime<Utc>,
}

/// A message with its address.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// Our id.
    pub id: NotificationId,
    /// To whom.
    pub member_id: MemberId,
    /// Which message.
    pub kind: String,
    /// What its text needs.
    pub args: Value,
    /// How often it was tried.
    pub attempts: i32,
    /// How the person is called.
    pub display_name: String,
    /// Their verified address.
    pub email: Option<String>,
}

/// Owes a message. Says whether it was not owed or sent before.
pub async fn insert_notification(
    conn: &mut Connection,
    new: &NewNotification<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO notifications (id, member_id, kind, dedup_key, args, state, attempts, send_at, created_at)
         VALUES ($1, $2, $3, $4, $5, 'due', 0, $6, $7)
         ON CONFLICT (dedup_key) DO NOTHING",
        new.id.as_uuid(),
        new.member_id.as_uuid(),
        new.kind,
        new.dedup_key,
        new.args,
        new.send_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Claims a message for sending until `claimed_until`. `None` if it was sent, is being sent by
/// somebody else, or cannot be delivered.
pub async fn claim_notification(
    conn: &mut Connection,
    id: NotificationId,
    now: DateTime<Utc>,
    claimed_until: DateTime<Utc>,
) -> Result<Option<Notification>, DbError> {
    let row = sqlx::query!(
        "UPDATE notifications n SET state = 'sending', attempts = attempts + 1, send_at = $3
         FROM members m
         WHERE n.id = $1 AND m.id = n.member_id
           AND (n.state = 'due' OR n.state = 'sending' AND n.send_at <= $2)
         RETURNING n.member_id, n.kind, n.args, n.attempts, m.display_name, m.email",
        id.as_uuid(),
        now,
        claimed_until,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Notification {
        id,
        member_id: MemberId::from_uuid(row.member_id),
        kind: row.kind,
        args: row.args,
        attempts: row.attempts,
        display_name: row.display_name,
        email: row.email,
    }))
}

/// Notes that a message was sent.
pub async fn set_notification_sent(
    conn: &mut Connection,
    id: NotificationId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE notifications SET state = 'sent', sent_at = $2, send_at = NULL, last_error = NULL WHERE id = $1",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    one_row("notifications", &done)
}

/// Notes a failed attempt, to be made again at `send_at`; `None` if there is no point.
pub async fn set_notification_failed(
    conn: &mut Connection,
    id: NotificationId,
    error: &str,
    send_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE notifications
         SET state = CASE WHEN $3::timestamptz IS NULL THEN 'undeliverable' ELSE 'due' END,
             last_error = $2, send_at = $3
         WHERE id = $1",
        id.as_uuid(),
        error,
        send_at,
    )
    .execute(conn)
    .await?;
    one_row("notifications", &done)
}

/// Messages whose hint was lost, or whose sender died: past their time. A second hint does no harm:
/// sending begins with a claim.
pub async fn list_overdue_notifications(
    conn: &mut Connection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<NotificationId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM notifications WHERE state IN ('due', 'sending') AND send_at <= $1
         ORDER BY send_at LIMIT $2",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(NotificationId::from_uuid).collect())
}
