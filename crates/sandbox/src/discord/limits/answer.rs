//! How limits look on the wire: headers on every answer, and the three faces of 429.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Whose limit was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The bucket of this bot.
    User,
    /// The bot's limit over all routes.
    Global,
    /// The resource's, whoever asked; not counted as an invalid request.
    Shared,
}

/// A bucket after a request was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketState {
    pub(crate) id: String,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_after: Duration,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after: Duration,
    pub(crate) scope: Scope,
    /// Absent when the global limit was hit: then no bucket was asked.
    pub(crate) bucket: Option<BucketState>,
}

impl BucketState {
    /// The headers that every answer of a limited route carries.
    pub(crate) fn write(&self, headers: &mut HeaderMap, now: DateTime<Utc>) {
        let reset_after = seconds(self.reset_after);
        let millis = now
            .timestamp_millis()
            .saturating_add(whole_millis(self.reset_after));
        let reset = DateTime::<Utc>::from_timestamp_millis(millis).unwrap_or(now);
        let reset = format!("{}.{:03}", reset.timestamp(), reset.timestamp_subsec_millis());
        put(headers, "x-ratelimit-limit", &self.limit.to_string());
        put(headers, "x-ratelimit-remaining", &self.remaining.to_string());
        put(headers, "x-ratelimit-reset", &reset);
        put(headers, "x-ratelimit-reset-after", &reset_after);
        put(headers, "x-ratelimit-bucket", &self.id);
    }
}

impl TooMany {
    /// The 429.
    pub(crate) fn answer(&self, now: DateTime<Utc>) -> HttpResponse {
        let global = self.scope == Scope::Global;
        let message = match self.scope {
            Scope::Shared => "The resource is being rate limited.",
            Scope::User | Scope::Global => "You are being rate limited.",
        };
        let mut response = HttpResponse::TooManyRequests().json(json!({
            "message": message,
            "retry_after": whole_millis_as_duration(self.retry_after).as_secs_f64(),
            "global": global,
        }));
        let headers = response.headers_mut();
        if let Some(bucket) = &self.bucket {
            bucket.write(headers, now);
        }
        put(
            headers,
            "retry-after",
            &self.retry_after.as_millis().div_ceil(1_000).to_string(),
        );
        put(
            headers,
            "x-ratelimit-scope",
            match self.scope {
                Scope::User => "user",
                Scope::Global => "global",
                Scope::Shared => "shared",
            },
        );
        if global {
            put(headers, "x-ratelimit-global", "true");
        }
        response
    }
}

/// A 429 of the content network before Discord: no JSON, no rate limit headers.
pub(crate) fn cloudflare(retry_after: Duration) -> HttpResponse {
    let page = "<!DOCTYPE html>\n<html><head><title>Access denied | discord.com used Cloudflare to \
                restrict access</title></head><body><h1>Error 1015</h1><h2>You are being rate \
                limited</h2></body></html>\n";
    HttpResponse::TooManyRequests()
        .insert_header((header::RETRY_AFTER, retry_after.as_secs().to_string()))
        .insert_header((header::SERVER, "cloudflare"))
        .insert_header(("cf-ray", "0000000000000000-SIM"))
        .content_type("text/html; charset=UTF-8")
        .body(page)
}

/// Milliseconds, rounded up: a client that waits for them is never early.
fn whole_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

fn whole_millis_as_duration(duration: Duration) -> Duration {
    Duration::from_millis(whole_millis(duration).unsigned_abs())
}

/// Seconds with three decimals.
fn seconds(duration: Duration) -> String {
    let millis = whole_millis(duration);
    format!("{}.{:03}", millis.div_euclid(1_000), millis.rem_euclid(1_000))
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_so_that_nobody_is_early() {
        assert_eq!(seconds(Duration::from_micros(9_999_001)), "10.000");
        assert_eq!(seconds(Duration::from_millis(250)), "0.250");
        assert_eq!(seconds(Duration::ZERO), "0.000");
    }

    #[test]
    fn a_shared_429_says_so_and_is_not_global() {
        let bucket = BucketState {
            id: "b".into(),
            limit: 5,
            remaining: 5,
            reset_after: Duration::ZERO,
        };
        let too_many = TooMany {
            retry_after: Duration::from_millis(1_336),
            scope: Scope::Shared,
            bucket: Some(bucket),
        };
        let response = too_many.answer(DateTime::UNIX_EPOCH);
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header("x-ratelimit-scope").as_deref(), Some("shared"));
        assert_eq!(header("retry-after").as_deref(), Some("2"));
        assert_eq!(header("x-ratelimit-global"), None);
        assert_eq!(header("x-ratelimit-bucket").as_deref(), Some("b"));
    }
}
