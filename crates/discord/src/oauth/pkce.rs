//! PKCE (RFC 7636) with S256: proof that who exchanges the code is who asked for it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rolecall_domain::clock::{Rng, random_bytes};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// A verifier, kept until the callback, and its challenge, sent along to Discord.
#[derive(Debug, Clone)]
pub struct Pkce {
    /// The secret: 43 characters.
    pub verifier: SecretString,
    /// What Discord is shown of it.
    pub challenge: String,
}

impl Pkce {
    /// A new pair.
    pub fn generate(rng: &dyn Rng) -> Self {
        Self::from_verifier(URL_SAFE_NO_PAD.encode(random_bytes::<32>(rng)).into())
    }

    /// The pair of a known verifier.
    pub fn from_verifier(verifier: SecretString) -> Self {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()));
        Self { verifier, challenge }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let pkce = Pkce::from_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(pkce.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_generated_verifier_has_the_length_and_alphabet_that_the_rfc_asks_for() {
        #[derive(Debug)]
        struct Fixed;
        impl Rng for Fixed {
            fn fill(&self, buffer: &mut [u8]) {
                buffer.fill(0xfb);
            }
        }
        let pkce = Pkce::generate(&Fixed);
        let verifier = pkce.verifier.expose_secret();
        assert_eq!(verifier.len(), 43);
        assert!(
            verifier
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert!(!format!("{pkce:?}").contains(verifier));
    }
}
