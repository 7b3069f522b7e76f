//! `/dashboard`: the person's membership in plain words, and what they can do about it.

pub(crate) mod messages;
mod view;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::{
    members::find_direct_messages, notifications::list_notifications_of, sessions::list_sessions,
};
use serde::Deserialize;

use crate::{
    account::{Account, fix_roles::fix_roles},
    error::ApiError,
    http::context::Trace,
    pages::{
        dashboard::view::{MOST_MESSAGES, Notice, Told, View},
        frame::{Frame, Here},
        html, see_other,
    },
    session::SignedIn,
    state::State,
};

#[derive(Template)]
#[template(path = "pages/dashboard.html")]
struct DashboardPage {
    frame: Frame,
    view: View,
}

#[derive(Template)]
#[template(path = "parts/dashboard.html")]
struct DashboardPart {
    view: View,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DashboardQuery {
    notice: Option<Notice>,
}

/// Shows it.
pub(crate) async fn get_dashboard(
    request: HttpRequest,
    query: web::Query<DashboardQuery>,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let view = read(&state, signed_in, query.notice).await?;
    let mut frame = Frame::new(&state, &request, "Your membership", Here::Dashboard);
    frame.signed_in = true;
    html(&DashboardPage { frame, view })
}

/// `/dashboard/live`: the parts of the page that change.
pub(crate) async fn get_live(signed_in: SignedIn, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    html(&DashboardPart {
        view: read(&state, signed_in, None).await?,
    })
}

/// `POST /dashboard/fix-roles`.
pub(crate) async fn post_fix_roles(
    signed_in: SignedIn,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    fix_roles(&state, &trace, signed_in).await?;
    Ok(see_other("/dashboard?notice=checking"))
}

async fn read(state: &State, signed_in: SignedIn, notice: Option<Notice>) -> Result<View, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let account = Account::load(&mut tx, signed_in.member_id, now)
        .await?
        .ok_or(ApiError::SessionEnded)?;
    let sessions = list_sessions(&mut tx, signed_in.member_id, now).await?;
    let told = Told {
        messages: list_notifications_of(&mut tx, signed_in.member_id, None, MOST_MESSAGES + 1).await?,
        by_discord: find_direct_messages(&mut tx, signed_in.member_id)
            .await?
            .unwrap_or_default(),
    };
    tx.commit().await?;
    if let Some(name) = account.names.community() {
        state.community.set(name);
    }
    Ok(View::new(
        &account,
        &sessions,
        signed_in.session_id,
        &told,
        notice,
        now,
    ))
}
