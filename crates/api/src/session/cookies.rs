//! The cookies of a session.

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use crate::{
    http::cookie::{self, CookieJar},
    session::{TokenPair, keys::ACCESS_LIFETIME},
    site::Site,
};

const ACCESS: &str = "rolecall_access";
const REFRESH: &str = "rolecall_refresh";

/// The cookies that keep a new pair of tokens.
pub(crate) fn of_pair(site: &Site, pair: &TokenPair, now: DateTime<Utc>) -> [String; 2] {
    let jar = CookieJar::new(site.is_https());
    let session = (pair.session_expires_at - now).num_seconds().max(0);
    [
        jar.set(
            ACCESS,
            pair.access.expose_secret(),
            ACCESS_LIFETIME.num_seconds().min(session),
        ),
        jar.set(REFRESH, pair.refresh.expose_secret(), session),
    ]
}

/// The cookies that end it.
pub(crate) fn cleared(site: &Site) -> [String; 2] {
    let jar = CookieJar::new(site.is_https());
    [jar.clear(ACCESS), jar.clear(REFRESH)]
}

/// The access token that the browser sent.
pub(crate) fn access(site: &Site, headers: &HeaderMap) -> Option<String> {
    let name = CookieJar::new(site.is_https()).name(ACCESS);
    cookie::value(headers, &name).map(str::to_owned)
}

/// The refresh token that the browser sent.
pub(crate) fn refresh(site: &Site, headers: &HeaderMap) -> Option<String> {
    let name = CookieJar::new(site.is_https()).name(REFRESH);
    cookie::value(headers, &name).map(str::to_owned)
}

/// Whether the browser seems to be signed in: for the menu only, nothing is decided by it.
pub(crate) fn seems_signed_in(site: &Site, headers: &HeaderMap) -> bool {
    access(site, headers).or_else(|| refresh(site, headers)).is_some()
}
