//! `POST /auth/refresh` and `POST /auth/logout`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{self, Bytes},
};
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    sessions,
};
use rolecall_domain::ids::AuditId;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::ApiError,
    http::{accept::wants_page, context::NewCookies},
    session::{SignedIn, cookies, extract::Visitor, keys::ACCESS_LIFETIME, renew::renew},
    state::State,
};

#[derive(Deserialize)]
struct RefreshBody {
    refresh_token: String,
}

#[derive(Serialize)]
struct Refreshed<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    /// Only for who sent the old one in the body: browsers keep theirs out of scripts' reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

/// A new pair of tokens, for the cookie or for the token in a JSON body.
pub(crate) async fn refresh(
    request: HttpRequest,
    body: Bytes,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let from_body = if body.is_empty() {
        None
    } else {
        let body: RefreshBody = serde_json::from_slice(&body).map_err(|error| ApiError::BadRequest {
            detail: error.to_string(),
        })?;
        Some(body.refresh_token)
    };
    let is_from_body = from_body.is_some();
    let token = from_body
        .or_else(|| cookies::refresh(&state.site, request.headers()))
        .ok_or(ApiError::NotSignedIn)?;
    let pair = renew(&state, &token).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if !is_from_body {
        NewCookies::add(&request, cookies::of_pair(&state.site, &pair, state.now()));
    }
    Ok(response.json(Refreshed {
        access_token: pair.access.expose_secret(),
        token_type: "Bearer",
        expires_in: ACCESS_LIFETIME.num_seconds(),
        refresh_token: is_from_body.then(|| pair.refresh.expose_secret()),
    }))
}

/// The form behind "Sign out" and "Sign out everywhere".
#[derive(Debug, Default, Deserialize)]
pub(crate) struct LogoutForm {
    #[serde(default)]
    everywhere: String,
}

/// Ends this session, or all of the person's; nothing to end is fine.
pub(crate) async fn logout(
    request: HttpRequest,
    visitor: Visitor,
    form: Option<web::Form<LogoutForm>>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let everywhere = form.is_some_and(|form| form.everywhere == "yes");
    if let Some(signed_in) = visitor.0 {
        end_sessions(&state, signed_in, everywhere).await?;
    }
    NewCookies::add(&request, cookies::cleared(&state.site));
    if wants_page(&request) {
        return Ok(HttpResponse::SeeOther()
            .insert_header((header::LOCATION, "/"))
            .finish());
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Ends the session, or all of the person's.
pub(crate) async fn end_sessions(
    state: &State,
    signed_in: SignedIn,
    everywhere: bool,
) -> Result<(), ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    if everywhere {
        sessions::revoke_sessions_of(&mut tx, signed_in.member_id, now).await?;
    } else {
        sessions::revoke_session(&mut tx, signed_in.session_id, now).await?;
    }
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("member:{}", signed_in.member_id),
        action: "session.ended",
        member_id: Some(signed_in.member_id),
        subject: &signed_in.session_id.to_string(),
        detail: json!({"everywhere": everywhere}),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(())
}
