//! `/dashboard/messages`: every message to the person, and whether they come by Discord, too.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::notifications::list_notifications_of;
use rolecall_domain::ids::NotificationId;
use serde::Deserialize;

use crate::{
    account::wishes::set_direct_messages,
    error::ApiError,
    pages::{
        dashboard::view::{MessageLine, message_line},
        frame::{Frame, Here},
        html, see_other,
    },
    session::SignedIn,
    state::State,
};

/// So many stand on a page.
const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "pages/messages.html")]
struct MessagesPage {
    frame: Frame,
    lines: Vec<MessageLine>,
    /// These are not the newest.
    is_older: bool,
    /// Where older ones begin.
    older: Option<NotificationId>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct MessagesQuery {
    before: Option<NotificationId>,
}

/// Shows them, the newest first.
pub(crate) async fn get_messages(
    request: HttpRequest,
    query: web::Query<MessagesQuery>,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    // One more tells whether there are older ones.
    let mut messages = list_notifications_of(&mut tx, signed_in.member_id, query.before, PAGE + 1).await?;
    tx.commit().await?;
    let most = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let has_older = messages.len() > most;
    messages.truncate(most);
    let mut frame = Frame::new(&state, &request, "Messages to you", Here::Dashboard);
    frame.signed_in = true;
    html(&MessagesPage {
        frame,
        lines: messages.iter().map(message_line).collect(),
        is_older: query.before.is_some(),
        older: messages.last().map(|last| last.id).filter(|_| has_older),
    })
}

/// What the switch sends.
#[derive(Debug, Deserialize)]
pub(crate) struct MessagesForm {
    direct_messages: Switch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    On,
    Off,
}

/// `POST /dashboard/messages`: whether messages may come by Discord.
pub(crate) async fn post_messages(
    signed_in: SignedIn,
    form: web::Form<MessagesForm>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    set_direct_messages(&state, signed_in, form.direct_messages == Switch::On).await?;
    Ok(match form.direct_messages {
        Switch::On => see_other("/dashboard?notice=discord_on#messages"),
        Switch::Off => see_other("/dashboard?notice=discord_off#messages"),
    })
}
