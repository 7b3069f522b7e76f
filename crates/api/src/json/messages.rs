//! `/api/v1/me/messages` and `/api/v1/me/settings`: what one was told, and which way one wants to be told.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use rolecall_db::{
    members::find_direct_messages,
    notifications::{Channel, NotificationLine, list_notifications_of},
};
use rolecall_domain::ids::NotificationId;
use serde::{Deserialize, Serialize};

use crate::{
    account::wishes::set_direct_messages,
    error::ApiError,
    json::{paging::Paging, uncached as json},
    session::SignedIn,
    state::State,
};

/// A message as its addressee sees it: why one did not leave is for staff.
#[derive(Serialize)]
struct Message {
    id: NotificationId,
    kind: String,
    channel: Channel,
    state: String,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
}

impl From<NotificationLine> for Message {
    fn from(line: NotificationLine) -> Self {
        Self {
            id: line.id,
            kind: line.kind,
            channel: line.channel,
            state: line.state,
            created_at: line.created_at,
            sent_at: line.sent_at,
        }
    }
}

/// `GET /api/v1/me/messages?cursor=&limit=`: the newest first.
pub(crate) async fn get_messages(
    signed_in: SignedIn,
    paging: web::Query<Paging>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    let rows = list_notifications_of(&mut tx, signed_in.member_id, paging.after()?, paging.rows()?).await?;
    tx.commit().await?;
    let messages: Vec<Message> = rows.into_iter().map(Message::from).collect();
    Ok(json(&paging.list(messages, |message| message.id.to_string())?))
}

/// What one wishes.
#[derive(Serialize)]
struct Settings {
    /// Messages may come by Discord, too.
    direct_messages: bool,
}

/// What is wished otherwise; what is left out stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsPatch {
    direct_messages: Option<bool>,
}

/// `GET /api/v1/me/settings`.
pub(crate) async fn get_settings(
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    settings(&state, signed_in).await
}

/// `PATCH /api/v1/me/settings`: answers with all of them as they are then.
pub(crate) async fn patch_settings(
    signed_in: SignedIn,
    patch: web::Json<SettingsPatch>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    if let Some(welcome) = patch.direct_messages {
        set_direct_messages(&state, signed_in, welcome).await?;
    }
    settings(&state, signed_in).await
}

async fn settings(state: &State, signed_in: SignedIn) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    let direct_messages = find_direct_messages(&mut tx, signed_in.member_id)
        .await?
        .ok_or(ApiError::SessionEnded)?;
    tx.commit().await?;
    Ok(json(&Settings { direct_messages }))
}
