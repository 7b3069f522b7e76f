//! Before a call is served: the key, the version, and answers given before under the same idempotency key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::stripe::error::Refusal;

/// What a call brings with it besides its parameters.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Stripe-Version` header.
    pub version: Option<String>,
    /// The `Idempotency-Key` header.
    pub idempotency_key: Option<String>,
}

/// An answer kept under its idempotency key.
#[derive(Clone, Debug)]
pub struct SavedAnswer {
    /// What was asked.
    pub question: String,
    /// The answer's status.
    pub status: u16,
    /// The answer's body.
    pub body: Vec<u8>,
    /// The request that was answered first.
    pub request_id: String,
    /// Unix seconds, of the wall.
    pub at: i64,
}

/// How long answers are kept under their keys.
pub const KEYS_KEPT_FOR: i64 = 24 * 3_600;

/// Refuses calls without one of the account's keys.
pub fn authorize(credentials: &Credentials, keys: &[String]) -> Result<(), Refusal> {
    let given = credentials.authorization.as_deref().and_then(key_of);
    let Some(given) = given.filter(|key| !key.is_empty()) else {
        return Err(Refusal::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, \
             using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See \
             https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
        ));
    };
    if keys.contains(&given) {
        return Ok(());
    }
    Err(Refusal::unauthorized(format!(
        "Invalid API Key provided: {}",
        starred(&given)
    )))
}

/// The key of `Bearer <key>`, or the user name of `Basic <base64 of key:>`.
fn key_of(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(user, _)| user.to_owned())
}

/// A key as error messages show it: the kind and the last four characters.
fn starred(key: &str) -> String {
    let visible_from = key.chars().count().saturating_sub(4);
    let kind = key.match_indices('_').nth(1).map_or(0, |(at, _)| at + 1);
    let star = |(place, letter): (usize, char)| {
        if place < kind || place >= visible_from {
            letter
        } else {
            '*'
        }
    };
    key.chars().enumerate().map(star).collect()
}

/// Refuses versions that are none. A version is a date, and a name from 2024-09-30 on.
pub fn check_version(version: &str) -> Result<(), Refusal> {
    let (date, name) = version.split_once('.').unwrap_or((version, "acacia"));
    let is_date = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").is_ok() && date.len() == 10;
    if is_date && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid Stripe API version: {version}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_as_bearer_and_as_basic_user() {
        let keys = ["sk_test_123".to_owned()];
        let check = |header: &str| {
            let authorization = Some(header.to_owned());
            authorize(
                &Credentials {
                    authorization,
                    ..Credentials::default()
                },
                &keys,
            )
        };
        assert_eq!(check("Bearer sk_test_123"), Ok(()));
        assert_eq!(
            check(&format!("Basic {}", STANDARD.encode("sk_test_123:"))),
            Ok(())
        );
        assert_eq!(check("Bearer sk_test_124").unwrap_err().http_status(), 401);
        assert_eq!(check("Basic %%%").unwrap_err().http_status(), 401);
        assert_eq!(check("sk_test_123").unwrap_err().http_status(), 401);
    }

    #[test]
    fn a_wrong_key_is_shown_with_stars() {
        assert_eq!(starred("sk_test_abcdefgh"), "sk_test_****efgh");
    }

    #[test]
    fn versions_are_dates_with_a_name() {
        for good in ["2024-06-20", "2026-09-30.endive"] {
            assert_eq!(check_version(good), Ok(()), "{good}");
        }
        for bad in ["latest", "2024-13-01", "2026-09-30.", "2026-9-30"] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }
}
