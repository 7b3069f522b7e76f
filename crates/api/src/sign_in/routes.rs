//! `GET /auth/discord/login` and `GET /auth/discord/callback`.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use rolecall_discord::oauth::{OauthError, OauthScope, Pkce};
use rolecall_domain::trigger::Trigger;
use serde::Deserialize;

use crate::{
    error::ApiError,
    hints,
    http::{
        context::{NewCookies, Trace},
        cookie::{self, CookieJar},
    },
    session::cookies,
    sign_in::{
        attempt::{LIFETIME_SECONDS, SignInAttempt, unguessable},
        link,
        next::Next,
    },
    state::State,
};

/// Binds a sign-in to its browser.
const BROWSER_COOKIE: &str = "rolecall_sign_in";
const BROWSER_COOKIE_LENGTH: usize = 43;

const SCOPES: [OauthScope; 3] = [OauthScope::Identify, OauthScope::Email, OauthScope::GuildsJoin];

#[derive(Debug, Deserialize)]
pub(crate) struct LoginQuery {
    next: Option<String>,
}

/// Sends the browser to Discord.
pub(crate) async fn login(
    request: HttpRequest,
    query: web::Query<LoginQuery>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let jar = CookieJar::new(state.site.is_https());
    // Two tabs share the cookie, so that either may come back first.
    let browser = browser_cookie(&request, jar).unwrap_or_else(|| unguessable(&*state.rng));
    let pkce = Pkce::generate(&*state.rng);
    let attempt = SignInAttempt {
        verifier: pkce.verifier,
        next: Next::parse(query.next.as_deref()),
    };
    let oauth_state = attempt.seal(&state.sealer, &*state.rng, &browser, state.now());
    // Without Redis the way back would end in an error.
    redis::cmd("PING")
        .query_async::<()>(&mut state.redis.clone())
        .await
        .map_err(ApiError::Redis)?;
    let url = state.discord.authorize_url(
        &oauth_state,
        &pkce.challenge,
        state.redirect_uri.as_str(),
        &SCOPES,
    );
    NewCookies::add(&request, [jar.set(BROWSER_COOKIE, &browser, LIFETIME_SECONDS)]);
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, url.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

fn browser_cookie(request: &HttpRequest, jar: CookieJar) -> Option<String> {
    let name = jar.name(BROWSER_COOKIE);
    let value = cookie::value(request.headers(), &name)?;
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    (plain && value.len() == BROWSER_COOKIE_LENGTH).then(|| value.to_owned())
}

#[derive(Debug, Deserialize)]
pub(crate) struct CallbackQuery {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Takes the browser back from Discord.
pub(crate) async fn callback(
    request: HttpRequest,
    query: web::Query<CallbackQuery>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let query = query.into_inner();
    let attempt = attempt_of(&request, &state, query.state.as_deref()).await?;
    if let Some(error) = query.error {
        return Err(ApiError::Discord(OauthError::from_callback(
            &error,
            query.error_description.as_deref(),
        )));
    }
    let code = query.code.ok_or_else(|| ApiError::BadRequest {
        detail: "there is no code".to_owned(),
    })?;
    let redirect_uri = state.redirect_uri.as_str();
    let tokens = state
        .discord
        .exchange_code(&code, &attempt.verifier, redirect_uri, state.now())
        .await;
    let tokens = tokens.map_err(ApiError::Discord)?;
    // Only now, when Discord knows somebody: before, anybody could leave marks. And only once.
    if !attempt.spend(&state.redis).await.map_err(ApiError::Redis)? {
        return Err(ApiError::SignInExpired);
    }
    let user = state
        .discord
        .current_user(&tokens.access)
        .await
        .map_err(ApiError::Discord)?;

    let user_agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|name| name.to_str().ok());
    let pair = link::sign_in(&state, &user, &tokens, user_agent.unwrap_or_default()).await?;
    hints::converge_member(&state, &trace, pair.signed_in.member_id, Trigger::Linked).await;
    tracing::info!(member.id = %pair.signed_in.member_id, "signed in with Discord");
    NewCookies::add(&request, cookies::of_pair(&state.site, &pair, state.now()));
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, attempt.next.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish())
}

/// The sign-in that the browser comes back from: its own, not too old, and not used before.
async fn attempt_of(
    request: &HttpRequest,
    state: &State,
    oauth_state: Option<&str>,
) -> Result<SignInAttempt, ApiError> {
    let jar = CookieJar::new(state.site.is_https());
    let attempt = browser_cookie(request, jar)
        .zip(oauth_state)
        .and_then(|(browser, sealed)| SignInAttempt::open(&state.sealer, &browser, sealed, state.now()))
        .ok_or(ApiError::SignInExpired)?;
    if attempt.is_spent(&state.redis).await.map_err(ApiError::Redis)? {
        return Err(ApiError::SignInExpired);
    }
    Ok(attempt)
}
