//! `/api/v1/admin/events`: what came from Stripe, and another chance for what failed.

use std::str::FromStr;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    inbox_admin::{EventPlace, EventSelection, find_event_row, list_events, set_event_replayed, state_named},
};
use rolecall_domain::ids::{AuditId, StripeEventId};
use serde::Deserialize;

use crate::{
    error::ApiError,
    hints,
    http::context::Trace,
    json::{
        List,
        admin::{json, require_staff},
    },
    session::SignedIn,
    state::State,
};

/// A page unless the client says how long.
const PAGE: i64 = 50;
const LONGEST_PAGE: i64 = 200;

/// When the sweeper takes a replayed event up, should the hint be lost.
const OVERDUE: TimeDelta = TimeDelta::minutes(1);

/// What of the list is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    state: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// `GET /api/v1/admin/events?state=&type=&cursor=&limit=`: those that came in last first.
pub(crate) async fn get_events(
    signed_in: SignedIn,
    query: web::Query<Query>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    // An empty value, as a form sends it, is none.
    let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
    let kind = given(&query.kind);
    let wanted = given(&query.state)
        .map(|name| state_named(&name).ok_or_else(|| bad("state", "one of pending, done, ignored and dead")));
    let selection = EventSelection {
        state: wanted.transpose()?,
        kind: kind.as_deref(),
        ..EventSelection::default()
    };
    let after = given(&query.cursor)
        .map(|cursor| read_cursor(&cursor).ok_or_else(|| bad("cursor", "the next_cursor of a list")))
        .transpose()?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(bad("limit", "from 1 to 200"));
    }
    // One more tells whether there is a next page.
    let mut events = list_events(&mut tx, &selection, after.as_ref(), limit + 1).await?;
    tx.commit().await?;
    let is_last = i64::try_from(events.len()).unwrap_or(i64::MAX) <= limit;
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = events.last().filter(|_| !is_last);
    Ok(json(&List {
        next_cursor: next.map(|event| write_cursor(&event.place())),
        data: events,
    }))
}

/// `POST /api/v1/admin/events/{event_id}/replay`: the event is pending again, as if it came in now.
pub(crate) async fn post_replay(
    signed_in: SignedIn,
    event_id: web::Path<StripeEventId>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    if !set_event_replayed(&mut tx, &event_id, now + OVERDUE).await? {
        return Err(ApiError::NotFound);
    }
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("staff:{}", signed_in.member_id),
        action: "event.replay",
        member_id: None,
        subject: event_id.as_str(),
        detail: serde_json::json!({}),
    };
    insert_audit_line(&mut tx, &line).await?;
    let event = find_event_row(&mut tx, &event_id).await?;
    tx.commit().await?;
    hints::process_event(&state, &trace, event_id.into_inner()).await;
    Ok(HttpResponse::Accepted().json(event))
}

fn bad(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest {
        detail: format!("`{name}` has to be {expected}"),
    }
}

/// When the last event of a page came in, and its id.
fn write_cursor(place: &EventPlace) -> String {
    format!("{}_{}", place.seen_at.timestamp_micros(), place.id)
}

fn read_cursor(cursor: &str) -> Option<EventPlace> {
    let (micros, id) = cursor.split_once('_')?;
    Some(EventPlace {
        seen_at: DateTime::<Utc>::from_timestamp_micros(micros.parse().ok()?)?,
        id: StripeEventId::from_str(id).ok()?.as_str().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_place() {
        let place = EventPlace {
            seen_at: "2026-11-20T12:00:00.123456Z".parse().unwrap(),
            id: "evt_1_a".to_owned(),
        };
        assert_eq!(read_cursor(&write_cursor(&place)), Some(place));
        for wrong in [
            "",
            "_",
            "1",
            "1_",
            "1_cus_1",
            "x_evt_1",
            "99999999999999999999_evt_1",
            "9223372036854775807_evt_1",
        ] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }
}
