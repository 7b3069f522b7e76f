//! Proof Key for Code Exchange (RFC 7636).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// A challenge, as it came with the authorisation request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    S256(String),
    Plain(String),
}

impl Challenge {
    /// Reads `code_challenge` and `code_challenge_method`; `Err` for a method that does not exist.
    pub(crate) fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, String> {
        match (challenge, method) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err("code_challenge_method without code_challenge".to_owned()),
            (Some(text), Some("S256")) => Ok(Some(Self::S256(text.to_owned()))),
            (Some(text), None | Some("plain")) => Ok(Some(Self::Plain(text.to_owned()))),
            (Some(_), Some(other)) => Err(format!("unknown code_challenge_method {other:?}")),
        }
    }

    /// Whether `verifier` answers the challenge.
    pub(crate) fn accepts(&self, verifier: &str) -> bool {
        if !(43..=128).contains(&verifier.len()) {
            return false;
        }
        match self {
            Self::S256(challenge) => URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) == *challenge,
            Self::Plain(challenge) => verifier == challenge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_verifier_of_the_rfc_answers_its_challenge() {
        let challenge = Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.accepts(VERIFIER));
        assert!(!challenge.accepts(CHALLENGE));
        assert!(!challenge.accepts("short"));
    }

    #[test]
    fn an_unknown_method_is_refused() {
        assert!(Challenge::parse(Some("x"), Some("S512")).is_err());
        assert_eq!(Challenge::parse(None, None), Ok(None));
    }
}
