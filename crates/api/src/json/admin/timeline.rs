//! `GET /api/v1/admin/members/{member_id}/timeline`.

use std::str::FromStr;

use actix_web::{HttpResponse, web};
use chrono::DateTime;
use rolecall_db::{
    members::find_member,
    timeline::{HappeningPlace, list_happenings},
};
use rolecall_domain::ids::MemberId;

use crate::{
    error::ApiError,
    json::{
        admin::{json, require_staff},
        paging::Paging,
    },
    session::SignedIn,
    state::State,
};

/// What happened to a person, the newest first.
pub(crate) async fn get_timeline(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    paging: web::Query<Paging>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let member = find_member(&mut tx, *member_id)
        .await?
        .ok_or(ApiError::NotFound)?;
    let before: Option<Cursor> = paging.after()?;
    let before = before.as_ref().map(|cursor| &cursor.0);
    let rows = list_happenings(&mut tx, member.id, before, paging.rows()?).await?;
    tx.commit().await?;
    Ok(json(
        &paging.list(rows, |happening| write_cursor(&happening.place()))?,
    ))
}

struct Cursor(HappeningPlace);

/// When the last thing of a page happened, of which kind it is, and its id.
fn write_cursor(place: &HappeningPlace) -> String {
    format!("{}_{}_{}", place.at.timestamp_micros(), place.kind, place.id)
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '_');
        let mut part = || parts.next().filter(|part| !part.is_empty()).ok_or(());
        let micros = part()?.parse().map_err(|_| ())?;
        Ok(Self(HappeningPlace {
            at: DateTime::from_timestamp_micros(micros).ok_or(())?,
            kind: part()?.to_owned(),
            id: part()?.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_place() {
        let place = HappeningPlace {
            at: "2026-11-20T12:00:00.123456Z".parse().unwrap(),
            kind: "event".to_owned(),
            id: "evt_1_a".to_owned(),
        };
        let read = write_cursor(&place).parse::<Cursor>().unwrap();
        assert_eq!(read.0, place);
        for wrong in [
            "",
            "1",
            "1_event",
            "1_event_",
            "x_event_evt_1",
            "9223372036854775807_event_evt_1",
        ] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
