//! The inbox as a line of work: many events are kept, claimed and finished at a time.
//!
//! A pending event belongs to nobody, or to the worker that holds it until `next_attempt_at`. All that
//! touch several rows do so in the order of their ids, or skip what is locked: none waits in a circle.

#![expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{StripeEventId, StripeSubscriptionId};
use serde_json::value::RawValue;
use sqlx::types::Json;

use crate::{Connection, DbError, convert::parse, inbox::InboxState, subscriptions::ReadMark};

/// An event to be kept, and what is known of it by its body alone.
#[derive(Debug, Clone)]
pub struct EventToKeep<'a> {
    /// Stripe's id.
    pub id: &'a StripeEventId,
    /// Stripe's type.
    pub kind: &'a str,
    /// The mode.
    pub livemode: bool,
    /// Stripe's time of it, to the second.
    pub occurred_at: DateTime<Utc>,
    /// The body.
    pub payload: &'a RawValue,
    /// What it concerns.
    pub subject: Option<serde_json::Value>,
    /// Somebody may be waiting for it.
    pub urgent: bool,
    /// How it begins: pending, ignored, or dead because it cannot be read.
    pub state: InboxState,
    /// Why it is dead.
    pub error: Option<&'a str>,
    /// Until when it is held by whoever keeps it, if it is pending.
    pub held_until: Option<DateTime<Utc>>,
}

/// An event that waits for its effect.
#[derive(Debug, Clone)]
pub struct PendingEvent {
    /// Stripe's id.
    pub id: StripeEventId,
    /// Stripe's type.
    pub kind: String,
    /// Stripe's time of it.
    pub occurred_at: DateTime<Utc>,
    /// When it was first seen, by the database's clock.
    pub seen_at: DateTime<Utc>,
    /// Attempts that failed.
    pub attempts: i32,
    /// Somebody may be waiting for it.
    pub urgent: bool,
    /// What it concerns, if somebody has looked.
    pub subject: Option<serde_json::Value>,
    /// The body, if nobody has.
    pub payload: Option<Box<RawValue>>,
}

/// Which events of the line are taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Those that are urgent first, and of all the newest first: somebody has just paid.
    Front,
    /// Those that have waited longest.
    Back,
}

/// What a subscription's newest write was, and the word for what it was worth by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWrite {
    /// The subscription.
    pub id: StripeSubscriptionId,
    /// The write.
    pub mark: ReadMark,
    /// The standing.
    pub standing: String,
}

/// Keeps events, each once, in the order of their ids. Returns when those were seen that are new, by the
/// database's clock.
///
/// Bodies travel as text: what is sent as JSON goes as `jsonb`, which forgets how it was written.
pub async fn insert_events(
    conn: &mut Connection,
    events: &[EventToKeep<'_>],
    now: DateTime<Utc>,
) -> Result<Vec<(StripeEventId, DateTime<Utc>)>, DbError> {
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind).collect();
    let modes: Vec<bool> = events.iter().map(|event| event.livemode).collect();
    let times: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    let payloads: Vec<&str> = events.iter().map(|event| event.payload.get()).collect();
    let subjects: Vec<Option<&serde_json::Value>> =
        events.iter().map(|event| event.subject.as_ref()).collect();
    let urgent: Vec<bool> = events.iter().map(|event| event.urgent).collect();
    let states: Vec<&str> = events.iter().map(|event| event.state.as_str()).collect();
    let errors: Vec<Option<&str>> = events.iter().map(|event| event.error).collect();
    let held: Vec<Option<DateTime<Utc>>> = events.iter().map(|event| event.held_until).collect();
    let rows = sqlx::query!(
        "INSERT INTO inbox (event_id, type, livemode, occurred_at, payload, subject, urgent, state,
                            last_error, next_attempt_at, attempts, done_at)
         SELECT event_id, type, livemode, occurred_at, payload::json, subject, urgent, state,
                last_error, held_until, CASE WHEN state = 'dead' THEN 1 ELSE 0 END,
                CASE WHEN state = 'ignored' THEN $11::timestamptz END
         FROM unnest($1::text[], $2::text[], $3::bool[], $4::timestamptz[], $5::text[], $6::jsonb[],
                     $7::bool[], $8::text[], $9::text[], $10::timestamptz[])
              AS e (event_id, type, livemode, occurred_at, payload, subject, urgent, state, last_error, held_until)
         ORDER BY event_id
         ON CONFLICT (event_id) DO NOTHING
         RETURNING event_id, seen_at",
        &ids as &[&str],
        &kinds as &[&str],
        &modes,
        &times,
        &payloads as &[&str],
        &subjects as &[Option<&serde_json::Value>],
        &urgent,
        &states as &[&str],
        &errors as &[Option<&str>],
        &held as &[Option<DateTime<Utc>>],
        now,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((parse("inbox", "event_id", &row.event_id)?, row.seen_at)))
        .collect()
}

/// The newest writes of those of the subscriptions that were ever read.
pub async fn list_last_writes(
    conn: &mut Connection,
    subscriptions: &[&StripeSubscriptionId],
) -> Result<Vec<LastWrite>, DbError> {
    let ids: Vec<&str> = subscriptions.iter().map(|id| id.as_str()).collect();
    let rows = sqlx::query!(
        "SELECT id, version, read_started_at, standing FROM subscriptions WHERE id = ANY($1::text[])",
        &ids as &[&str],
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LastWrite {
                id: parse("subscriptions", "id", &row.id)?,
                mark: ReadMark {
                    version: row.version,
                    read_started_at: row.read_started_at,
                },
                standing: row.standing,
            })
        })
        .collect()
}

/// Claims up to `limit` events that are pending and that nobody holds by `now`: they are the caller's
/// until `held_until`.
pub async fn claim_pending_events(
    conn: &mut Connection,
    from: From,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PendingEvent>, DbError> {
    match from {
        From::Front => claim_front(conn, now, held_until, limit).await,
        From::Back => claim_back(conn, now, held_until, limit).await,
    }
}

macro_rules! pending_events {
    ($rows:expr) => {
        $rows
            .into_iter()
            .map(|row| {
                Ok(PendingEvent {
                    id: parse("inbox", "event_id", &row.event_id)?,
                    kind: row.kind,
                    occurred_at: row.occurred_at,
                    seen_at: row.seen_at,
                    attempts: row.attempts,
                    urgent: row.urgent,
                    subject: row.subject,
                    payload: row.payload.map(|payload| payload.0),
                })
            })
            .collect()
    };
}

async fn claim_front(
    conn: &mut Connection,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PendingEvent>, DbError> {
    let rows = sqlx::query!(
        r#"UPDATE inbox SET next_attempt_at = $2
           WHERE event_id IN (
             SELECT event_id FROM inbox WHERE state = 'pending' AND next_attempt_at <= $1
             ORDER BY urgent DESC, seen_at DESC LIMIT $3 FOR UPDATE SKIP LOCKED)
           RETURNING event_id, type AS kind, occurred_at, seen_at, attempts, urgent, subject,
                     CASE WHEN subject IS NULL THEN payload END AS "payload: Json<Box<RawValue>>""#,
        now,
        held_until,
        limit
    )
    .fetch_all(conn)
    .await?;
    pending_events!(rows)
}

async fn claim_back(
    conn: &mut Connection,
    now: DateTime<Utc>,
    held_until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<PendingEvent>, DbError> {
    let rows = sqlx::query!(
        r#"UPDATE inbox SET next_attempt_at = $2
           WHERE event_id IN (
             SELECT event_id FROM inbox WHERE state = 'pending' AND next_attempt_at <= $1
             ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED)
           RETURNING event_id, type AS kind, occurred_at, seen_at, attempts, urgent, subject,
                     CASE WHEN subject IS NULL THEN payload END AS "payload: Json<Box<RawValue>>""#,
        now,
        held_until,
        limit
    )
    .fetch_all(conn)
    .await?;
    pending_events!(rows)
}

/// Claims one event that is pending, whoever holds it: staff, or a hint, asks for it now.
pub async fn claim_pending_event(
    conn: &mut Connection,
    id: &StripeEventId,
    held_until: DateTime<Utc>,
) -> Result<Option<PendingEvent>, DbError> {
    let rows = sqlx::query!(
        r#"UPDATE inbox SET next_attempt_at = $2 WHERE event_id = $1 AND state = 'pending'
           RETURNING event_id, type AS kind, occurred_at, seen_at, attempts, urgent, subject,
                     CASE WHEN subject IS NULL THEN payload END AS "payload: Json<Box<RawValue>>""#,
        id.as_str(),
        held_until,
    )
    .fetch_all(conn)
    .await?;
    let found: Result<Vec<PendingEvent>, DbError> = pending_events!(rows);
    Ok(found?.pop())
}

/// Holds events longer, or lets them go when `until` is now. Those that somebody is just writing are
/// left alone.
pub async fn hold_events(
    conn: &mut Connection,
    ids: &[StripeEventId],
    until: DateTime<Utc>,
) -> Result<(), DbError> {
    let ids: Vec<&str> = ids.iter().map(StripeEventId::as_str).collect();
    sqlx::query!(
        "UPDATE inbox SET next_attempt_at = $2
         WHERE event_id IN (
           SELECT event_id FROM inbox WHERE event_id = ANY($1::text[]) AND state = 'pending'
           FOR UPDATE SKIP LOCKED)",
        &ids as &[&str],
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the end of pending events: done, or nothing to do with us. Returns how many there were: others
/// may have ended some.
pub async fn set_events_finished(
    conn: &mut Connection,
    ids: &[&StripeEventId],
    state: InboxState,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    let done = sqlx::query!(
        "UPDATE inbox SET state = $2, done_at = $3, next_attempt_at = NULL, last_error = NULL
         WHERE event_id = ANY($1::text[]) AND state = 'pending'",
        &ids as &[&str],
        state.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Notes a failed attempt of pending events, each with the time of its next one; one without is dead.
pub async fn set_events_failed(
    conn: &mut Connection,
    events: &[(&StripeEventId, Option<DateTime<Utc>>)],
    error: &str,
) -> Result<(), DbError> {
    let ids: Vec<&str> = events.iter().map(|(id, _)| id.as_str()).collect();
    let next: Vec<Option<DateTime<Utc>>> = events.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "UPDATE inbox
         SET attempts = attempts + 1, last_error = $3, next_attempt_at = f.next_attempt_at,
             state = CASE WHEN f.next_attempt_at IS NULL THEN 'dead' ELSE 'pending' END
         FROM unnest($1::text[], $2::timestamptz[]) AS f (event_id, next_attempt_at)
         WHERE inbox.event_id = f.event_id AND inbox.state = 'pending'",
        &ids as &[&str],
        &next as &[Option<DateTime<Utc>>],
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes why pending events cannot take effect for now, each with the time at which it is tried again. It spends
/// no attempt.
pub async fn set_events_postponed(
    conn: &mut Connection,
    events: &[(&StripeEventId, DateTime<Utc>)],
    error: &str,
) -> Result<(), DbError> {
    let ids: Vec<&str> = events.iter().map(|(id, _)| id.as_str()).collect();
    let next: Vec<DateTime<Utc>> = events.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "UPDATE inbox
         SET last_error = $3, next_attempt_at = f.next_attempt_at
         FROM unnest($1::text[], $2::timestamptz[]) AS f (event_id, next_attempt_at)
         WHERE inbox.event_id = f.event_id AND inbox.state = 'pending'",
        &ids as &[&str],
        &next,
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The events that wait for their effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub pending: i64,
    /// Since when the oldest waits, by the database's clock.
    pub oldest: Option<DateTime<Utc>>,
    /// How many are dead.
    pub dead: i64,
}

/// How long the line is.
pub async fn count_backlog(conn: &mut Connection) -> Result<Backlog, DbError> {
    Ok(sqlx::query_as!(
        Backlog,
        r#"SELECT (SELECT count(*) FROM inbox WHERE state = 'pending') AS "pending!",
                  (SELECT min(seen_at) FROM inbox WHERE state = 'pending') AS oldest,
                  (SELECT count(*) FROM inbox WHERE state = 'dead') AS "dead!""#
    )
    .fetch_one(conn)
    .await?)
}
