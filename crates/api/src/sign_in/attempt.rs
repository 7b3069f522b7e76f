//! A sign-in that is under way: kept in Redis for ten minutes under a random state, good once, and
//! only in the browser that began it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::RedisError;
use rolecall_domain::clock::{Rng, random_bytes};
use rolecall_queue::Link;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::sign_in::next::Next;

/// How long a sign-in may take, in seconds.
pub(crate) const LIFETIME_SECONDS: i64 = 600;

/// A sign-in that is under way.
#[derive(Debug)]
pub(crate) struct SignInAttempt {
    pub(crate) verifier: SecretString,
    pub(crate) next: Next,
    /// The hash of the cookie of the browser that began it.
    pub(crate) browser: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct Stored {
    verifier: String,
    next: Next,
    browser: String,
}

impl SignInAttempt {
    /// Keeps it under `state`.
    pub(crate) async fn keep(&self, redis: &Link, state: &str) -> Result<(), RedisError> {
        let stored = Stored {
            verifier: self.verifier.expose_secret().to_owned(),
            next: self.next.clone(),
            browser: hex::encode(self.browser),
        };
        let json = serde_json::to_string(&stored).unwrap_or_default();
        redis::cmd("SET")
            .arg(key(redis, state))
            .arg(json)
            .arg("EX")
            .arg(LIFETIME_SECONDS)
            .query_async(&mut redis.clone())
            .await
    }

    /// Takes the one under `state` away: nobody can use it again. `None` if there is none.
    pub(crate) async fn take(redis: &Link, state: &str) -> Result<Option<Self>, RedisError> {
        let json: Option<String> = redis::cmd("GETDEL")
            .arg(key(redis, state))
            .query_async(&mut redis.clone())
            .await?;
        Ok(json.and_then(|json| {
            let stored: Stored = serde_json::from_str(&json).ok()?;
            let browser = hex::decode(stored.browser).ok()?.try_into().ok()?;
            Some(Self {
                verifier: stored.verifier.into(),
                next: stored.next,
                browser,
            })
        }))
    }

    /// Whether this is the browser that began it.
    pub(crate) fn is_of(&self, cookie: Option<&str>) -> bool {
        cookie.is_some_and(|cookie| bool::from(self.browser.ct_eq(&browser_hash(cookie))))
    }
}

/// A value that nobody can guess, for the state and for the cookie.
pub(crate) fn unguessable(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>(rng))
}

/// What is kept of the browser's cookie.
pub(crate) fn browser_hash(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie).into()
}

/// Hashed, so that who reads Redis' keys cannot use them.
fn key(redis: &Link, state: &str) -> String {
    format!(
        "{}:sign-in:{}",
        redis.namespace(),
        hex::encode(Sha256::digest(state))
    )
}
