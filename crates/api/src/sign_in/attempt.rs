//! A sign-in that is under way. Nothing is kept of it: it travels sealed as OAuth's `state`, opens for ten minutes in
//! the browser that began it, and leaves a mark in Redis only once Discord has said who came back.
//!
//! So nobody can fill Redis by beginning sign-ins. The seal names its key, so one that was begun before the keys were
//! rotated opens as long as the older key is in `ENCRYPTION_KEYS`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use redis::RedisError;
use rolecall_domain::clock::{Rng, random_bytes};
use rolecall_queue::Link;
use rolecall_runtime::seal::Sealer;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sign_in::next::Next;

/// How long a sign-in may take, in seconds.
pub(crate) const LIFETIME_SECONDS: i64 = 600;

/// A sign-in that is under way.
#[derive(Debug)]
pub(crate) struct SignInAttempt {
    /// What proves to Discord that who exchanges the code is who asked for it; another one each time.
    pub(crate) verifier: SecretString,
    pub(crate) next: Next,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    verifier: String,
    next: Next,
    /// In seconds since 1970.
    expires_at: i64,
}

impl SignInAttempt {
    /// The state that opens in this browser only.
    pub(crate) fn seal(&self, sealer: &Sealer, rng: &dyn Rng, browser: &str, now: DateTime<Utc>) -> String {
        let sealed = Sealed {
            verifier: self.verifier.expose_secret().to_owned(),
            next: self.next.clone(),
            expires_at: now.timestamp() + LIFETIME_SECONDS,
        };
        let json = serde_json::to_vec(&sealed).unwrap_or_default();
        sealer.seal(rng, &context(browser), &json)
    }

    /// The sign-in that this browser began, unless that was too long ago.
    pub(crate) fn open(sealer: &Sealer, browser: &str, state: &str, now: DateTime<Utc>) -> Option<Self> {
        let json = sealer.open(&context(browser), state).ok()?;
        let sealed: Sealed = serde_json::from_slice(json.expose_secret()).ok()?;
        let is_over = sealed.expires_at <= now.timestamp();
        (!is_over).then(|| Self {
            verifier: sealed.verifier.into(),
            next: sealed.next,
        })
    }

    /// Whether somebody was signed in by it.
    pub(crate) async fn is_spent(&self, redis: &Link) -> Result<bool, RedisError> {
        redis::cmd("EXISTS")
            .arg(self.key(redis))
            .query_async(&mut redis.clone())
            .await
    }

    /// Marks that somebody is signed in by it; `false` if somebody was already.
    pub(crate) async fn spend(&self, redis: &Link) -> Result<bool, RedisError> {
        let marked: Option<String> = redis::cmd("SET")
            .arg(self.key(redis))
            .arg(1)
            .arg("NX")
            .arg("EX")
            .arg(LIFETIME_SECONDS)
            .query_async(&mut redis.clone())
            .await?;
        Ok(marked.is_some())
    }

    /// By what the seal holds, not by its text. Hashed, so that who reads Redis' keys learns nothing.
    fn key(&self, redis: &Link) -> String {
        let hash = Sha256::digest(self.verifier.expose_secret());
        format!("{}:sign-in:{}", redis.namespace(), hex::encode(hash))
    }
}

/// A value that nobody can guess, for the cookie.
pub(crate) fn unguessable(rng: &dyn Rng) -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<32>(rng))
}

fn context(browser: &str) -> String {
    format!("sign-in:{browser}")
}

#[cfg(test)]
mod tests {
    use rolecall_runtime::{
        clock::SystemRng,
        config::EncryptionKeys,
        env::{Env, Service},
    };

    use super::*;

    const A: &str = "a:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const B: &str = "b:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn sealer(keys: &str) -> Sealer {
        let env = Env::from_pairs([("ENCRYPTION_KEYS", keys)]);
        Sealer::new(&env.read(Service::Api, EncryptionKeys::from_env).unwrap())
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn begun(next: &str) -> String {
        let attempt = SignInAttempt {
            verifier: "v".repeat(43).into(),
            next: Next::parse(Some(next)),
        };
        attempt.seal(&sealer(A), &SystemRng, "browser", at(0))
    }

    #[test]
    fn a_sign_in_opens_for_ten_minutes_in_its_browser_and_after_a_rotation_too() {
        let state = begun("/plans");
        for (keys, browser, seconds, opens) in [
            (A, "browser", 0, true),
            (A, "browser", 599, true),
            (A, "browser", 600, false),
            (A, "another", 0, false),
            (A, "", 0, false),
            (&format!("{B},{A}"), "browser", 1, true),
            (B, "browser", 1, false),
        ] {
            let opened = SignInAttempt::open(&sealer(keys), browser, &state, at(seconds));
            assert_eq!(opened.is_some(), opens, "{keys} {browser} {seconds}");
            if let Some(attempt) = opened {
                assert_eq!(attempt.next.as_str(), "/plans");
                assert_eq!(attempt.verifier.expose_secret(), "v".repeat(43));
            }
        }
        assert!(SignInAttempt::open(&sealer(A), "browser", "made-up", at(0)).is_none());
    }

    #[test]
    fn a_state_shows_nothing_and_stays_short_enough_for_an_address() {
        let state = begun(&format!("/{}", "x".repeat(511)));
        assert!(!state.contains("xxx") && !state.contains("vvv"), "{state}");
        assert!(state.len() < 1024, "{}", state.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        assert!(state.bytes().all(plain), "{state}");
    }
}
