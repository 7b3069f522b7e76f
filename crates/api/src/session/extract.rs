//! Who asks: read from the bearer token or the cookies of a request. A browser whose access token
//! has run out gets a new one in passing.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderMap},
    web,
};
use futures::future::LocalBoxFuture;

use crate::{
    error::ApiError,
    http::context::NewCookies,
    session::{SignedIn, cookies, renew::renew},
    state::State,
};

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { signed_in(&request).await })
    }
}

/// Somebody, or nobody; an outage is still an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visitor(pub(crate) Option<SignedIn>);

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            match signed_in(&request).await {
                Ok(signed_in) => Ok(Self(Some(signed_in))),
                Err(ApiError::NotSignedIn | ApiError::SessionEnded) => Ok(Self(None)),
                Err(error) => Err(error),
            }
        })
    }
}

async fn signed_in(request: &HttpRequest) -> Result<SignedIn, ApiError> {
    let state = request
        .app_data::<web::Data<State>>()
        .ok_or_else(|| ApiError::internal("reading the session", "the application has no state"))?;
    let (headers, now) = (request.headers(), state.now());
    if let Some(token) = bearer(headers) {
        return state.keys.read_access(token, now).ok_or(ApiError::NotSignedIn);
    }
    let access = cookies::access(&state.site, headers);
    if let Some(signed_in) = access.and_then(|token| state.keys.read_access(&token, now)) {
        return Ok(signed_in);
    }
    let refresh = cookies::refresh(&state.site, headers).ok_or(ApiError::NotSignedIn)?;
    let pair = renew(state, &refresh).await?;
    NewCookies::add(request, cookies::of_pair(&state.site, &pair, now));
    Ok(pair.signed_in)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
