//! Stripe's events as they came in: `inbox`. An event is done in the transaction of its effects.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;
use serde_json::value::RawValue;
use sqlx::types::Json;

use crate::{Connection, DbError, convert::parse};

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxState {
    /// Its effects are not there yet.
    Pending,
    /// Its effects are there.
    Done,
    /// It concerns nothing that we keep.
    Ignored,
    /// It kept failing; staff may replay it.
    Dead,
}

impl InboxState {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Ignored => "ignored",
            Self::Dead => "dead",
        }
    }

    fn from_sql(text: &str) -> Result<Self, DbError> {
        Ok(match text {
            "pending" => Self::Pending,
            "done" => Self::Done,
            "ignored" => Self::Ignored,
            "dead" => Self::Dead,
            other => {
                let detail = other.to_owned();
                return Err(DbError::Corrupt {
                    table: "inbox",
                    column: "state",
                    detail,
                });
            }
        })
    }
}

/// An event that was taken in.
#[derive(Debug, Clone)]
pub struct NewInboxEvent<'a> {
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
    /// When the sweeper looks at it again if nobody finishes it.
    pub next_attempt_at: DateTime<Utc>,
}

/// What the inbox knows of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// When it was first seen, by the database's clock.
    pub seen_at: DateTime<Utc>,
    /// How far it has come.
    pub state: InboxState,
}

/// An event as it is kept.
#[derive(Debug, Clone)]
pub struct InboxEvent {
    /// Stripe's id.
    pub id: StripeEventId,
    /// Stripe's type.
    pub kind: String,
    /// The mode.
    pub livemode: bool,
    /// Stripe's time of it.
    pub occurred_at: DateTime<Utc>,
    /// The body.
    pub payload: Box<RawValue>,
}

/// Takes an event in, once. `None` if it is there already: then [`find_seen`] tells how far it is.
///
/// The body travels as text: what is sent as JSON goes as `jsonb`, which forgets how it was written.
pub async fn insert_event(
    conn: &mut Connection,
    event: &NewInboxEvent<'_>,
) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO inbox (event_id, type, livemode, occurred_at, state, next_attempt_at, payload)
         VALUES ($1, $2, $3, $4, 'pending', $5, $6::text::json)
         ON CONFLICT (event_id) DO NOTHING
         RETURNING seen_at",
        event.id.as_str(),
        event.kind,
        event.livemode,
        event.occurred_at,
        event.next_attempt_at,
        event.payload.get(),
    )
    .fetch_optional(conn)
    .await?)
}

/// How far an event is.
pub async fn find_seen(conn: &mut Connection, id: &StripeEventId) -> Result<Option<Seen>, DbError> {
    let row = sqlx::query!(
        "SELECT seen_at, state FROM inbox WHERE event_id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Seen {
            seen_at: row.seen_at,
            state: InboxState::from_sql(&row.state)?,
        })
    })
    .transpose()
}

/// The event with its body.
pub async fn find_event(conn: &mut Connection, id: &StripeEventId) -> Result<Option<InboxEvent>, DbError> {
    let row = sqlx::query!(
        r#"SELECT event_id, type AS kind, livemode, occurred_at, payload AS "payload: Json<Box<RawValue>>"
           FROM inbox WHERE event_id = $1"#,
        id.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(InboxEvent {
            id: parse("inbox", "event_id", &row.event_id)?,
            kind: row.kind,
            livemode: row.livemode,
            occurred_at: row.occurred_at,
            payload: row.payload.0,
        })
    })
    .transpose()
}

/// The database's clock: what `seen_at` and the start of reads are measured with.
pub async fn database_time(conn: &mut Connection) -> Result<DateTime<Utc>, DbError> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
        .fetch_one(conn)
        .await?)
}
