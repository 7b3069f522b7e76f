//! Messages owed to people, each once: `notifications`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    ids::{DiscordUserId, MemberId, NotificationId},
    message::MessageKind,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Connection, DbError,
    convert::{Snowflake, parse},
    error::one_row,
};

/// The way that a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// By mail, to the person's verified address.
    Mail,
    /// By Discord, as a direct message of the bot.
    Discord,
}

impl Channel {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Discord => "discord",
        }
    }

    fn from_sql(text: &str) -> Result<Self, DbError> {
        match text {
            "mail" => Ok(Self::Mail),
            "discord" => Ok(Self::Discord),
            other => Err(DbError::Corrupt {
                table: "notifications",
                column: "channel",
                detail: other.to_owned(),
            }),
        }
    }
}

/// A message that is owed.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNotification<'a> {
    /// Our id, which also makes the mail's Message-ID.
    pub id: NotificationId,
    /// To whom.
    pub member_id: MemberId,
    /// Which message.
    pub kind: MessageKind,
    /// Which way.
    pub channel: Channel,
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
    /// Which way.
    pub channel: Channel,
    /// What its text needs.
    pub args: Value,
    /// How often it was tried.
    pub attempts: i32,
    /// How the person is called.
    pub display_name: String,
    /// Their verified address.
    pub email: Option<String>,
    /// Their Discord account.
    pub discord_user_id: Option<DiscordUserId>,
}

/// Owes a message. Says whether it was not owed or sent before.
pub async fn insert_notification(
    conn: &mut Connection,
    new: &NewNotification<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO notifications (id, member_id, kind, channel, dedup_key, args, state, attempts, send_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'due', 0, $7, $8)
         ON CONFLICT (dedup_key) DO NOTHING",
        new.id.as_uuid(),
        new.member_id.as_uuid(),
        new.kind.as_str(),
        new.channel.as_str(),
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
         RETURNING n.member_id, n.kind, n.channel, n.args, n.attempts, m.display_name, m.email,
           (SELECT user_id FROM discord_accounts a WHERE a.member_id = m.id) AS discord_user_id",
        id.as_uuid(),
        now,
        claimed_until,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let user = row
            .discord_user_id
            .map(|user| DiscordUserId::from_sql("discord_accounts", "user_id", user))
            .transpose()?;
        Ok(Notification {
            id,
            member_id: MemberId::from_uuid(row.member_id),
            kind: row.kind,
            channel: Channel::from_sql(&row.channel)?,
            args: row.args,
            attempts: row.attempts,
            display_name: row.display_name,
            email: row.email,
            discord_user_id: user,
        })
    })
    .transpose()
}

/// Calls off messages of these kinds about `subject` that have not left yet: they would not be true
/// any more. One that is being sent may leave all the same, and is not tried again if it does not. Returns how many.
pub async fn cancel_notifications(
    conn: &mut Connection,
    member_id: MemberId,
    subject: &str,
    kinds: &[MessageKind],
) -> Result<u64, DbError> {
    let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let done = sqlx::query!(
        "UPDATE notifications
         SET state = 'cancelled', send_at = NULL, last_error = 'no longer true'
         WHERE member_id = $1 AND state IN ('due', 'sending') AND kind = ANY($3) AND args ->> 'subscription' = $2",
        member_id.as_uuid(),
        subject,
        &kinds,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Calls off what was to go to a person by Discord and has not left: they declined it. Returns how many.
pub async fn cancel_direct_messages(conn: &mut Connection, member_id: MemberId) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE notifications
         SET state = 'cancelled', send_at = NULL, last_error = 'the person declined messages by Discord'
         WHERE member_id = $1 AND state IN ('due', 'sending') AND channel = 'discord'",
        member_id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The newest of these messages to a person about `subject`, with what its text needs.
pub async fn find_newest_notification(
    conn: &mut Connection,
    member_id: MemberId,
    subject: &str,
    kinds: &[MessageKind],
) -> Result<Option<(MessageKind, Value)>, DbError> {
    let names: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    let row = sqlx::query!(
        "SELECT kind, args FROM notifications
         WHERE member_id = $1 AND kind = ANY($3) AND args ->> 'subscription' = $2
         ORDER BY id DESC LIMIT 1",
        member_id.as_uuid(),
        subject,
        &names,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((parse("notifications", "kind", &row.kind)?, row.args)))
        .transpose()
}

/// Whether a person may be written to by Discord: they linked an account and did not decline.
pub async fn wants_direct_messages(conn: &mut Connection, member_id: MemberId) -> Result<bool, DbError> {
    let wants = sqlx::query_scalar!(
        r#"SELECT m.direct_messages AND EXISTS (SELECT FROM discord_accounts a WHERE a.member_id = m.id) AS "wants!"
           FROM members m WHERE m.id = $1"#,
        member_id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(wants.unwrap_or_default())
}

/// A message as people see it in a list. Its JSON is a contract: `rolecall messages --json` and the API
/// print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotificationLine {
    /// Our id.
    pub id: NotificationId,
    /// Which message.
    pub kind: String,
    /// Which way.
    pub channel: Channel,
    /// `due`, `sending`, `sent`, `undeliverable` or `cancelled`.
    pub state: String,
    /// Why it has not left.
    pub last_error: Option<String>,
    /// When it became owed.
    pub created_at: DateTime<Utc>,
    /// When it is tried (again) unless somebody does so before, if it has not left.
    pub send_at: Option<DateTime<Utc>>,
    /// When it left.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Up to `limit` messages to a person, the newest first, older than `before`.
pub async fn list_notifications_of(
    conn: &mut Connection,
    member_id: MemberId,
    before: Option<NotificationId>,
    limit: i64,
) -> Result<Vec<NotificationLine>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, kind, channel, state, last_error, created_at, send_at, sent_at
         FROM notifications
         WHERE member_id = $1 AND ($2::uuid IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3",
        member_id.as_uuid(),
        before.map(NotificationId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(NotificationLine {
                id: NotificationId::from_uuid(row.id),
                kind: row.kind,
                channel: Channel::from_sql(&row.channel)?,
                state: row.state,
                last_error: row.last_error,
                created_at: row.created_at,
                send_at: row.send_at,
                sent_at: row.sent_at,
            })
        })
        .collect()
}

/// How often a message was tried of which it is not known yet what became: `None` if it is, or if nobody
/// has tried it. One that is due again may have left all the same, as a copy of it.
pub async fn find_attempts(conn: &mut Connection, id: NotificationId) -> Result<Option<i32>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT attempts FROM notifications
         WHERE id = $1 AND (state = 'sending' OR state = 'due' AND attempts > 0) FOR UPDATE",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// Gives whoever is sending a message until `claimed_until`; nothing happens once it is known what
/// became of it.
pub async fn set_claimed_until(
    conn: &mut Connection,
    id: NotificationId,
    claimed_until: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE notifications SET send_at = $2 WHERE id = $1 AND state = 'sending'",
        id.as_uuid(),
        claimed_until
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a claimed message back untried, to be claimed again at `send_at`.
pub async fn set_notification_unclaimed(
    conn: &mut Connection,
    id: NotificationId,
    send_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE notifications SET state = 'due', attempts = attempts - 1, send_at = $2
         WHERE id = $1 AND state = 'sending'",
        id.as_uuid(),
        send_at
    )
    .execute(conn)
    .await?;
    Ok(())
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

/// Notes a failed attempt, to be made again at `send_at`; `None` if there is no point. Nothing happens once
/// it is known that the message left, or that it cannot.
pub async fn set_notification_failed(
    conn: &mut Connection,
    id: NotificationId,
    error: &str,
    send_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE notifications
         SET state = CASE WHEN $3::timestamptz IS NULL THEN 'undeliverable' ELSE 'due' END,
             last_error = $2, send_at = $3
         WHERE id = $1 AND state IN ('due', 'sending')",
        id.as_uuid(),
        error,
        send_at,
    )
    .execute(conn)
    .await?;
    Ok(())
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
