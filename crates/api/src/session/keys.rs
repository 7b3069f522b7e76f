//! Making and reading tokens: the access token is a JWT, the refresh token 32 random bytes of which
//! only an HMAC is kept.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use rolecall_domain::{
    clock::{Rng, random_bytes},
    ids::{MemberId, SessionId},
};
use rolecall_runtime::config::SessionConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::{error::ApiError, session::SignedIn};

/// How long an access token is good.
pub(crate) const ACCESS_LIFETIME: TimeDelta = TimeDelta::minutes(15);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    sub: MemberId,
    sid: SessionId,
    exp: i64,
    iat: i64,
}

/// Signs and checks tokens.
pub(crate) struct SessionKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    refresh: SecretString,
}

impl SessionKeys {
    pub(crate) fn new(config: &SessionConfig) -> Self {
        let secret = config.access_secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // Against the clock that is passed in, not the system's.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["exp", "sub"]);
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
            refresh: config.refresh_secret.clone(),
        }
    }

    /// An access token for a session.
    pub(crate) fn sign_access(
        &self,
        signed_in: SignedIn,
        now: DateTime<Utc>,
    ) -> Result<SecretString, ApiError> {
        let claims = Claims {
            sub: signed_in.member_id,
            sid: signed_in.session_id,
            exp: (now + ACCESS_LIFETIME).timestamp(),
            iat: now.timestamp(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map(SecretString::from)
            .map_err(|error| ApiError::internal("signing an access token", error))
    }

    /// Whose token it is; `None` for one that is forged, altered or over.
    pub(crate) fn read_access(&self, token: &str, now: DateTime<Utc>) -> Option<SignedIn> {
        let claims = decode::<Claims>(token, &self.decoding, &self.validation)
            .ok()?
            .claims;
        let is_over = claims.exp <= now.timestamp();
        (!is_over).then_some(SignedIn {
            member_id: claims.sub,
            session_id: claims.sid,
        })
    }

    /// A new refresh token.
    pub(crate) fn new_refresh(rng: &dyn Rng) -> SecretString {
        SecretString::from(URL_SAFE_NO_PAD.encode(random_bytes::<32>(rng)))
    }

    /// What is kept of a refresh token.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub(crate) fn refresh_hash(&self, token: &str) -> [u8; 32] {
        let key = self.refresh.expose_secret().as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Without the keys.
impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rolecall_runtime::clock::SystemRng;
    use uuid::Uuid;

    use super::*;

    fn keys(access: &str) -> SessionKeys {
        SessionKeys::new(&SessionConfig {
            access_secret: SecretString::from(access.repeat(32)),
            refresh_secret: SecretString::from("r".repeat(32)),
        })
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn somebody() -> SignedIn {
        SignedIn {
            member_id: MemberId::from_uuid(Uuid::from_u128(1)),
            session_id: SessionId::from_uuid(Uuid::from_u128(2)),
        }
    }

    #[test]
    fn an_access_token_is_good_for_a_quarter_of_an_hour() {
        let token = keys("a").sign_access(somebody(), at(0)).unwrap();
        let read = |seconds| keys("a").read_access(token.expose_secret(), at(seconds));
        assert_eq!(read(0), Some(somebody()));
        assert_eq!(read(899), Some(somebody()));
        assert_eq!(read(900), None);
    }

    #[test]
    fn a_token_of_another_key_or_algorithm_is_refused() {
        let token = keys("a").sign_access(somebody(), at(0)).unwrap();
        assert_eq!(keys("b").read_access(token.expose_secret(), at(0)), None);
        let body = token.expose_secret().split('.').nth(1).unwrap();
        let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        for forged in [
            format!("{header}.{body}."),
            format!("{header}.{body}.x"),
            String::new(),
            "x".to_owned(),
        ] {
            assert_eq!(keys("a").read_access(&forged, at(0)), None, "{forged}");
        }
    }

    #[test]
    fn refresh_tokens_differ_and_their_hashes_are_stable() {
        let (first, second) = (
            SessionKeys::new_refresh(&SystemRng),
            SessionKeys::new_refresh(&SystemRng),
        );
        assert_ne!(first.expose_secret(), second.expose_secret());
        assert_eq!(first.expose_secret().len(), 43);
        let keys = keys("a");
        assert_eq!(keys.refresh_hash("x"), keys.refresh_hash("x"));
        assert_ne!(keys.refresh_hash("x"), keys.refresh_hash("y"));
    }
}
