//! The inbox for people: what became of which event, and another chance for it.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;
use serde::Serialize;

use crate::{Connection, DbError, inbox::InboxState};

/// An event and what became of it, without its body. Its JSON is a contract: `rolecall events list --json`
/// and the API print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Stripe's id.
    pub id: String,
    /// Stripe's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `pending`, `done`, `ignored` or `dead`.
    pub state: String,
    /// The mode.
    pub livemode: bool,
    /// Stripe's time of it.
    pub occurred_at: DateTime<Utc>,
    /// When it came in, or was replayed last.
    pub seen_at: DateTime<Utc>,
    /// How many attempts have failed since.
    pub attempts: i32,
    /// Why the last one failed.
    pub last_error: Option<String>,
    /// When it is taken up at the latest, if it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When its effects were there.
    pub done_at: Option<DateTime<Utc>>,
}

/// The state with this name.
pub fn state_named(name: &str) -> Option<InboxState> {
    use InboxState::{Dead, Done, Ignored, Pending};
    [Pending, Done, Ignored, Dead]
        .into_iter()
        .find(|state| state.as_str() == name)
}

/// Which events are meant; all of them by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventSelection<'a> {
    /// Only those in this state.
    pub state: Option<InboxState>,
    /// Only those of this type.
    pub kind: Option<&'a str>,
    /// Only those that Stripe made at this time or later.
    pub occurred_since: Option<DateTime<Utc>>,
}

/// Where in a list an event stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPlace {
    /// When it came in.
    pub seen_at: DateTime<Utc>,
    /// Its id.
    pub id: String,
}

impl EventRow {
    /// Where it stands.
    pub fn place(&self) -> EventPlace {
        EventPlace {
            seen_at: self.seen_at,
            id: self.id.clone(),
        }
    }
}

/// Up to `limit` events after `after`, those that came in last first.
pub async fn list_events(
    conn: &mut Connection,
    selection: &EventSelection<'_>,
    after: Option<&EventPlace>,
    limit: i64,
) -> Result<Vec<EventRow>, DbError> {
    Ok(sqlx::query_as!(
        EventRow,
        r#"SELECT event_id AS id, type AS kind, state, livemode, occurred_at, seen_at, attempts, last_error,
                  next_attempt_at, done_at
           FROM inbox
           WHERE ($1::text IS NULL OR state = $1)
             AND ($2::text IS NULL OR type = $2)
             AND ($3::timestamptz IS NULL OR occurred_at >= $3)
             AND ($4::timestamptz IS NULL OR (seen_at, event_id) < ($4, $5::text))
           ORDER BY seen_at DESC, event_id DESC
           LIMIT $6"#,
        selection.state.map(InboxState::as_str),
        selection.kind,
        selection.occurred_since,
        after.map(|place| place.seen_at),
        after.map(|place| place.id.as_str()),
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// One event.
pub async fn find_event_row(conn: &mut Connection, id: &StripeEventId) -> Result<Option<EventRow>, DbError> {
    Ok(sqlx::query_as!(
        EventRow,
        "SELECT event_id AS id, type AS kind, state, livemode, occurred_at, seen_at, attempts, last_error,
                next_attempt_at, done_at
         FROM inbox WHERE event_id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?)
}

/// Makes an event pending again, as if it had come in now: no read of before covers it, and it is looked into
/// anew. Says whether it was there.
pub async fn set_event_replayed(
    conn: &mut Connection,
    id: &StripeEventId,
    next_attempt_at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE inbox
         SET state = 'pending', attempts = 0, last_error = NULL, done_at = NULL, subject = NULL, urgent = false,
             seen_at = clock_timestamp(), next_attempt_at = $2
         WHERE event_id = $1",
        id.as_str(),
        next_attempt_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Makes up to `limit` of the selected events pending again that came in before `seen_before`, a time by the
/// database's clock; replayed ones come in anew, so that a walk over all of them ends. Returns which.
pub async fn claim_replays(
    conn: &mut Connection,
    selection: &EventSelection<'_>,
    seen_before: DateTime<Utc>,
    next_attempt_at: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StripeEventId>, DbError> {
    let rows = sqlx::query_scalar!(
        "UPDATE inbox
         SET state = 'pending', attempts = 0, last_error = NULL, done_at = NULL, subject = NULL, urgent = false,
             seen_at = clock_timestamp(), next_attempt_at = $5
         WHERE event_id IN (
           SELECT event_id FROM inbox
           WHERE ($1::text IS NULL OR state = $1)
             AND ($2::text IS NULL OR type = $2)
             AND ($3::timestamptz IS NULL OR occurred_at >= $3)
             AND seen_at < $4
           ORDER BY seen_at, event_id LIMIT $6 FOR UPDATE SKIP LOCKED)
         RETURNING event_id",
        selection.state.map(InboxState::as_str),
        selection.kind,
        selection.occurred_since,
        seen_before,
        next_attempt_at,
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|id| crate::convert::parse("inbox", "event_id", id))
        .collect()
}

/// Forgets up to `limit` events that came in before `before` and are done or ignored. Returns how many.
/// Those that are still owed, or wait for staff, are never forgotten.
pub async fn delete_events_before(
    conn: &mut Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "DELETE FROM inbox WHERE event_id IN (
           SELECT event_id FROM inbox WHERE seen_at < $1 AND state IN ('done', 'ignored')
           ORDER BY seen_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        limit,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
