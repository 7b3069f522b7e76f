//! What an answer of Discord says about limits, read from its headers and, for a 429, its body.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::Deserialize;

/// A 429 that says nothing about when to come back waits this long.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(10);

/// No wait is longer than this, whatever a header claims.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The parts of an answer that the limiter learns from.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) bucket: Option<String>,
    pub(crate) quota: Option<Quota>,
    /// Set exactly when the status is 429.
    pub(crate) limited: Option<Limited>,
}

/// What is left of a bucket, as the server saw it when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
    pub(crate) reset_after: Duration,
}

/// A 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited {
    /// How long to wait.
    pub retry_after: Duration,
    /// Whose limit it was.
    pub scope: LimitScope,
}

/// Whose limit a 429 was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitScope {
    /// This bot's limit for one bucket.
    User,
    /// The limit of a resource that others use too; it does not count towards the ban.
    Shared,
    /// This bot's 50 requests a second.
    Global,
    /// The edge (Cloudflare) refused before Discord saw the request: the whole address is limited.
    Edge,
}

impl LimitScope {
    /// Whether every request of the bot has to wait, not only those of one bucket.
    pub const fn is_global(self) -> bool {
        matches!(self, Self::Global | Self::Edge)
    }
}

#[derive(Debug, Deserialize)]
struct LimitedBody {
    retry_after: Option<f64>,
    #[serde(default)]
    global: bool,
}

impl Answer {
    /// Reads an answer. The body matters for a 429 only, any other may pass it empty.
    pub fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let bucket = text(headers, "x-ratelimit-bucket").map(str::to_owned);
        let limited = (status == 429).then(|| Limited::read(headers, body, bucket.is_some()));
        Self {
            status,
            bucket,
            quota: Quota::read(headers),
            limited,
        }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The limit that was hit, if the status is 429.
    pub const fn limited(&self) -> Option<Limited> {
        self.limited
    }

    pub(crate) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Whether Discord counts it among the 10,000 invalid requests that lead to a ban.
    pub(crate) const fn is_invalid_request(&self) -> bool {
        match self.limited {
            Some(limited) => !matches!(limited.scope, LimitScope::Shared),
            None => matches!(self.status, 401 | 403),
        }
    }
}

impl Quota {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let limit: u32 = text(headers, "x-ratelimit-limit")?.parse().ok()?;
        let remaining = text(headers, "x-ratelimit-remaining")?.parse().ok()?;
        let reset_after = seconds(text(headers, "x-ratelimit-reset-after")?)?;
        // A limit of zero would never let anything through again.
        Some(Self {
            limit: limit.max(1),
            remaining,
            reset_after,
        })
    }
}

impl Limited {
    fn read(headers: &HeaderMap, body: &[u8], has_bucket: bool) -> Self {
        let body: Option<LimitedBody> = serde_json::from_slice(body).ok();
        let retry_after = body
            .as_ref()
            .and_then(|body| body.retry_after)
            .and_then(duration)
            .or_else(|| text(headers, "retry-after").and_then(seconds))
            .or_else(|| text(headers, "x-ratelimit-reset-after").and_then(seconds))
            .unwrap_or(DEFAULT_RETRY_AFTER);
        let scope = match text(headers, "x-ratelimit-scope") {
            Some("shared") => LimitScope::Shared,
            Some("global") => LimitScope::Global,
            Some("user") => LimitScope::User,
            _ if headers.contains_key("x-ratelimit-global") => LimitScope::Global,
            _ => match body {
                Some(body) if body.global => LimitScope::Global,
                None if !has_bucket => LimitScope::Edge,
                _ => LimitScope::User,
            },
        };
        Self { retry_after, scope }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn seconds(text: &str) -> Option<Duration> {
    duration(text.parse().ok()?)
}

fn duration(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0)
        .then(|| Duration::try_from_secs_f64(seconds).map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_good_answer_tells_what_is_left() {
        let answer = Answer::new(
            204,
            &headers(&[
                ("x-ratelimit-bucket", "abcd"),
                ("x-ratelimit-limit", "10"),
                ("x-ratelimit-remaining", "7"),
                ("x-ratelimit-reset-after", "1.25"),
            ]),
            b"",
        );
        assert_eq!(answer.bucket.as_deref(), Some("abcd"));
        assert_eq!(
            answer.quota,
            Some(Quota {
                limit: 10,
                remaining: 7,
                reset_after: Duration::from_millis(1250)
            })
        );
        assert_eq!(answer.limited, None);
        assert!(!answer.is_invalid_request());
    }

    #[test]
    fn the_scope_of_a_429_is_read_from_headers_then_body() {
        let scope = |pairs: &[(&'static str, &'static str)], body: &str| {
            Answer::new(429, &headers(pairs), body.as_bytes())
                .limited
                .unwrap()
                .scope
        };
        let body = r#"{"message":"You are being rate limited.","retry_after":0.5,"global":false}"#;
        assert_eq!(scope(&[("x-ratelimit-scope", "user")], body), LimitScope::User);
        assert_eq!(
            scope(&[("x-ratelimit-scope", "shared")], body),
            LimitScope::Shared
        );
        assert_eq!(
            scope(&[("x-ratelimit-scope", "global")], body),
            LimitScope::Global
        );
        assert_eq!(scope(&[("x-ratelimit-global", "true")], body), LimitScope::Global);
        assert_eq!(
            scope(&[], r#"{"retry_after":1,"global":true}"#),
            LimitScope::Global
        );
        assert_eq!(scope(&[], body), LimitScope::User);
        assert_eq!(
            scope(&[("x-ratelimit-bucket", "abcd")], "nonsense"),
            LimitScope::User
        );
        assert_eq!(
            scope(&[("retry-after", "30")], "error code: 1015"),
            LimitScope::Edge
        );
    }

    #[test]
    fn the_wait_comes_from_the_body_then_the_header() {
        let wait = |pairs: &[(&'static str, &'static str)], body: &str| {
            Answer::new(429, &headers(pairs), body.as_bytes())
                .limited
                .unwrap()
                .retry_after
        };
        assert_eq!(
            wait(&[("retry-after", "1")], r#"{"retry_after":0.364}"#),
            Duration::from_millis(364)
        );
        assert_eq!(
            wait(&[("retry-after", "7")], "error code: 1015"),
            Duration::from_secs(7)
        );
        assert_eq!(wait(&[], ""), DEFAULT_RETRY_AFTER);
        assert_eq!(wait(&[("retry-after", "-1")], ""), DEFAULT_RETRY_AFTER);
        assert_eq!(wait(&[("retry-after", "1e300")], ""), LONGEST_WAIT);
        assert_eq!(wait(&[("retry-after", "NaN")], ""), DEFAULT_RETRY_AFTER);
    }

    #[test]
    fn only_401_403_and_unshared_429_count_towards_the_ban() {
        let counts = |status, scope: &'static str| {
            Answer::new(status, &headers(&[("x-ratelimit-scope", scope)]), b"{}").is_invalid_request()
        };
        assert!(counts(401, ""));
        assert!(counts(403, ""));
        assert!(counts(429, "user"));
        assert!(counts(429, "global"));
        assert!(!counts(429, "shared"));
        assert!(!counts(404, ""));
        assert!(!counts(500, ""));
    }
}
