//! The check of the `Stripe-Signature` header, over the raw bytes of the body.
//!
//! Where Stripe's own libraries disagree with each other the stricter reading wins: one `t`, ASCII
//! digits, lower-case hex. `tests/suite/signature_vectors.rs` holds the cases and the decisions.

mod header;

use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

pub use crate::signature::header::SignatureHeader;

/// How old a signature may be, in seconds: Stripe's own default.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The longest header that is looked at. Stripe's are under 300 bytes.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Why a webhook was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header, or an empty one.
    #[error("the request has no Stripe-Signature header")]
    Missing,
    /// The header is not one that Stripe sends.
    #[error("the Stripe-Signature header is malformed: expected `t=<seconds>,v1=<64 lower-case hex digits>`")]
    Malformed,
    /// No signature in the header was made with one of our secrets over this body.
    #[error("no signature matches: check the endpoint's signing secret, and that no proxy rewrites the body")]
    Wrong,
    /// Rightly signed, but longer than the tolerance ago: a replay, or a clock that is wrong.
    #[error("the signature is older than {TOLERANCE_SECONDS} seconds: check the server's clock")]
    TooOld,
}

impl SignatureError {
    /// The outcome label of the webhook counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing_signature",
            Self::Malformed => "malformed_signature",
            Self::Wrong => "wrong_signature",
            Self::TooOld => "too_old",
        }
    }
}

/// Checks that `body` was signed with one of `secrets` at most [`TOLERANCE_SECONDS`] before `now`.
pub fn verify(
    header: Option<&[u8]>,
    body: &[u8],
    secrets: &[SecretString],
    now: DateTime<Utc>,
) -> Result<(), SignatureError> {
    SignatureHeader::read(header)?
        .matching_secret(body, secrets, now)
        .map(|_| ())
}

/// A body that was rightly signed.
#[expect(missing_debug_implementations, reason = "a body holds personal data")]
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    /// Which of the secrets it was signed with: the caller that holds secrets of both modes learns from it the mode of
    /// the endpoint.
    pub secret: usize,
    /// The body, which is text.
    pub text: &'a str,
}

impl<'a> SignatureHeader<'a> {
    /// What can be said before there is a body: without this nobody has to wait for one.
    pub fn read(header: Option<&'a [u8]>) -> Result<Self, SignatureError> {
        let header = header
            .filter(|header| !header.is_empty())
            .ok_or(SignatureError::Missing)?;
        Self::parse(header).ok_or(SignatureError::Malformed)
    }

    /// As [`verify`], and tells with which of `secrets`.
    pub fn matching_secret<'b>(
        &self,
        body: &'b [u8],
        secrets: &[SecretString],
        now: DateTime<Utc>,
    ) -> Result<Signed<'b>, SignatureError> {
        let text = text_of(body).ok_or(SignatureError::Wrong)?;
        let secret = secrets
            .iter()
            .position(|secret| is_signed_with(self, body, secret))
            .ok_or(SignatureError::Wrong)?;
        // A timestamp ahead of our clock passes, as in Stripe's libraries: it is signed too.
        if now.timestamp().saturating_sub(self.timestamp) > TOLERANCE_SECONDS {
            return Err(SignatureError::TooOld);
        }
        Ok(Signed { secret, text })
    }
}

/// The header that Stripe would send with `body`: for simulators and tests.
pub fn sign(secret: &SecretString, timestamp: i64, body: &[u8]) -> String {
    let signature = digest(secret, &timestamp.to_string(), body).unwrap_or_default();
    format!("t={timestamp},v1={}", hex::encode(signature))
}

/// Stripe sends UTF-8 without a byte-order mark. Its libraries decode the body before they sign
/// it, and so refuse anything else even when the raw bytes carry a right signature.
fn text_of(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    (!text.starts_with('\u{feff}')).then_some(text)
}

/// Compares with every signature of the header, so that the time taken does not tell which one
/// came close.
fn is_signed_with(header: &SignatureHeader<'_>, body: &[u8], secret: &SecretString) -> bool {
    let Some(expected) = digest(secret, header.timestamp_text, body) else {
        return false;
    };
    header
        .signatures
        .iter()
        .fold(Choice::from(0), |found, signature| {
            found | signature.ct_eq(&expected)
        })
        .into()
}

/// HMAC-SHA256 over `timestamp.body`. The key is the secret as Stripe shows it, `whsec_` included.
/// `None` for a blank secret: anyone could sign with it.
fn digest(secret: &SecretString, timestamp: &str, body: &[u8]) -> Option<[u8; 32]> {
    let key = secret.expose_secret();
    if key.trim().is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    Some(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_767_225_600;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    fn secret() -> SecretString {
        SecretString::from("whsec_test")
    }

    fn check(header: &str) -> Result<(), SignatureError> {
        check_bytes(header.as_bytes())
    }

    fn check_bytes(header: &[u8]) -> Result<(), SignatureError> {
        verify(
            Some(header),
            BODY,
            &[secret()],
            DateTime::from_timestamp(NOW, 0).unwrap(),
        )
    }

    #[test]
    fn age_300_passes_and_301_does_not() {
        for (age, expected) in [
            (0, Ok(())),
            (300, Ok(())),
            (301, Err(SignatureError::TooOld)),
            (-86_400, Ok(())),
        ] {
            assert_eq!(check(&sign(&secret(), NOW - age, BODY)), expected, "age {age} s");
        }
    }

    #[test]
    fn part_of_a_second_does_not_make_a_signature_too_old() {
        let now = DateTime::from_timestamp(NOW, 999_999_999).unwrap();
        let header = sign(&secret(), NOW - 300, BODY);
        assert_eq!(verify(Some(header.as_bytes()), BODY, &[secret()], now), Ok(()));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let good = sign(&secret(), NOW, BODY);
        let hex = good.split_once("v1=").unwrap().1;
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        assert_eq!(verify(None, BODY, &[secret()], now), Err(SignatureError::Missing));
        assert_eq!(check(""), Err(SignatureError::Missing));
        for malformed in [
            format!("v1={hex}"),
            format!("t={NOW}"),
            format!("t={NOW},t={NOW},v1={hex}"),
            format!("t={NOW}abc,v1={hex}"),
            format!("t=+{NOW},v1={hex}"),
            format!("t=0{NOW},v1={hex}"),
            format!("t={NOW},v1={}", hex.to_uppercase()),
            format!("t={NOW}, v1={hex}"),
            format!("t={NOW},v1={hex},"),
            format!("t={NOW},v1={hex}é"),
            format!("t=99999999999999999999,v1={hex}"),
            format!("{good},v9={}", "0".repeat(MAX_HEADER_BYTES)),
        ] {
            assert_eq!(
                check(&malformed),
                Err(SignatureError::Malformed),
                "{malformed:.120}"
            );
        }
        assert_eq!(
            check(&sign(&"whsec_other".into(), NOW, BODY)),
            Err(SignatureError::Wrong)
        );
        // An old header with a wrong signature is a wrong signature: it proves nothing about time.
        assert_eq!(
            check(&sign(&"whsec_other".into(), 1, BODY)),
            Err(SignatureError::Wrong)
        );
    }

    #[test]
    fn a_header_of_8_kib_is_still_read() {
        let mut header = sign(&secret(), NOW, BODY);
        header.push_str(",v0=");
        header.push_str(&"0".repeat(MAX_HEADER_BYTES - header.len()));
        assert_eq!(check(&header), Ok(()));
    }

    #[test]
    fn any_secret_and_any_v1_may_match() {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let (old, new) = (SecretString::from("whsec_old"), SecretString::from("whsec_new"));
        let header = format!("{},{}", sign(&new, NOW, BODY), &sign(&old, NOW, BODY)[13..]);
        for (secrets, expected) in [
            (vec![secret(), old.clone()], Ok(1)),
            (vec![new.clone()], Ok(0)),
            (vec![secret()], Err(SignatureError::Wrong)),
            (vec![], Err(SignatureError::Wrong)),
        ] {
            assert_eq!(
                SignatureHeader::read(Some(header.as_bytes()))
                    .and_then(|header| header.matching_secret(BODY, &secrets, now))
                    .map(|signed| signed.secret),
                expected
            );
        }
    }

    #[test]
    fn a_blank_secret_never_matches() {
        let key = Hmac::<Sha256>::new_from_slice(b"").unwrap();
        let forged = key
            .chain_update(format!("{NOW}."))
            .chain_update(BODY)
            .finalize()
            .into_bytes();
        let header = format!("t={NOW},v1={}", hex::encode(forged));
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let secrets = [SecretString::from("")];
        assert_eq!(
            verify(Some(header.as_bytes()), BODY, &secrets, now),
            Err(SignatureError::Wrong)
        );
    }

    #[test]
    fn a_body_with_a_byte_order_mark_is_refused() {
        let body = "\u{feff}{}".as_bytes();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let header = sign(&secret(), NOW, body);
        assert_eq!(
            verify(Some(header.as_bytes()), body, &[secret()], now),
            Err(SignatureError::Wrong)
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_verify(header in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(check_bytes(&header).is_err());
        }

        #[test]
        fn what_looks_like_a_header_never_verifies_by_chance(header in "(t|v1|v0)=[0-9a-f,=tv]{0,80}(,(t|v1)=[0-9a-f]{0,70}){0,4}") {
            prop_assert!(check(&header).is_err());
        }

        #[test]
        fn one_changed_byte_is_refused(body in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let header = sign(&secret(), NOW, &body);
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= flip;
            let now = DateTime::from_timestamp(NOW, 0).unwrap();
            prop_assert_eq!(verify(Some(header.as_bytes()), &changed, &[secret()], now), Err(SignatureError::Wrong));
        }

        #[test]
        fn what_was_signed_verifies(body in ".{0,200}", age in 0..=300_i64) {
            let header = sign(&secret(), NOW - age, body.as_bytes());
            let now = DateTime::from_timestamp(NOW, 0).unwrap();
            let expected = if text_of(body.as_bytes()).is_some() { Ok(()) } else { Err(SignatureError::Wrong) };
            prop_assert_eq!(verify(Some(header.as_bytes()), body.as_bytes(), &[secret()], now), expected);
        }
    }
}
