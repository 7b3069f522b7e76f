//! How far Stripe's list of events has been compared with the inbox: `event_sweeps`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;

use crate::{Connection, DbError, convert::parse, inbox::NewInboxEvent};

/// Up to which of Stripe's times all events of this mode have been compared; `None` before the first time.
pub async fn find_swept_to(conn: &mut Connection, livemode: bool) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(
        sqlx::query_scalar!("SELECT swept_to FROM event_sweeps WHERE livemode = $1", livemode)
            .fetch_optional(conn)
            .await?,
    )
}

/// Notes that all events up to `swept_to` have been compared. Never goes back: of two sweeps at once, the
/// slower one knows less.
pub async fn set_swept_to(
    conn: &mut Connection,
    livemode: bool,
    swept_to: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO event_sweeps (livemode, swept_to) VALUES ($1, $2)
         ON CONFLICT (livemode) DO UPDATE
         SET swept_to = greatest(event_sweeps.swept_to, excluded.swept_to)",
        livemode,
        swept_to,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which of these events the inbox has.
pub async fn list_known_events(
    conn: &mut Connection,
    ids: &[&StripeEventId],
) -> Result<Vec<StripeEventId>, DbError> {
    let ids: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query_scalar!("SELECT event_id FROM inbox WHERE event_id = ANY($1)", &ids)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|id| parse("inbox", "event_id", id)).collect()
}

/// Takes in those of the events that the inbox lacks, in one statement. Returns which those were.
pub async fn insert_missing_events(
    conn: &mut Connection,
    events: &[NewInboxEvent<'_>],
) -> Result<Vec<StripeEventId>, DbError> {
    let ids: Vec<String> = events.iter().map(|event| event.id.as_str().to_owned()).collect();
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_owned()).collect();
    let modes: Vec<bool> = events.iter().map(|event| event.livemode).collect();
    let times: Vec<DateTime<Utc>> = events.iter().map(|event| event.occurred_at).collect();
    let next: Vec<DateTime<Utc>> = events.iter().map(|event| event.next_attempt_at).collect();
    // As text, like a single one: as JSON they would forget how they were written.
    let payloads: Vec<String> = events
        .iter()
        .map(|event| event.payload.get().to_owned())
        .collect();
    let rows = sqlx::query_scalar!(
        "INSERT INTO inbox (event_id, type, livemode, occurred_at, state, next_attempt_at, payload, swept)
         SELECT event_id, type, livemode, occurred_at, 'pending', next_attempt_at, payload::json, true
         FROM UNNEST($1::text[], $2::text[], $3::bool[], $4::timestamptz[], $5::timestamptz[], $6::text[])
              AS events (event_id, type, livemode, occurred_at, next_attempt_at, payload)
         ORDER BY event_id
         ON CONFLICT (event_id) DO NOTHING
         RETURNING event_id",
        &ids,
        &kinds,
        &modes,
        &times,
        &next,
        &payloads,
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|id| parse("inbox", "event_id", id)).collect()
}
