//! Sealing of tokens at rest: AES-256-GCM under named keys, bound to the place they belong to.
//!
//! A sealed value is `id.nonce.ciphertext`, the last two in base64url. The context goes in as
//! associated data, so that a value copied to another row or another purpose does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rolecall_domain::clock::{Rng, random_bytes};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::config::{EncryptionKey, EncryptionKeys};

/// Why a sealed value did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not `id.nonce.ciphertext`.
    #[error("not a sealed value")]
    Malformed,
    /// Its key is not in `ENCRYPTION_KEYS` (any more).
    #[error("sealed with key {id:?}, which is not in ENCRYPTION_KEYS")]
    UnknownKey {
        /// The name of the key.
        id: String,
    },
    /// It was altered, belongs to another context, or was sealed with another key of that name.
    #[error("altered, or sealed for another context or with another key")]
    Refused,
    /// It opened, but is not text.
    #[error("not text")]
    NotText,
}

/// Seals with the first key and opens with any.
pub struct Sealer {
    current: Key,
    older: Vec<Key>,
}

struct Key {
    id: String,
    key: LessSafeKey,
}

impl Sealer {
    /// A sealer with these keys.
    pub fn new(keys: &EncryptionKeys) -> Self {
        Self {
            current: Key::new(&keys.current),
            older: keys.older.iter().map(Key::new).collect(),
        }
    }

    /// `plaintext` sealed for `context`.
    ///
    /// # Panics
    ///
    /// On 64 GiB of plaintext and more, which AES-GCM cannot seal.
    #[expect(
        clippy::expect_used,
        reason = "AES-GCM takes up to 64 GiB, which no token has"
    )]
    pub fn seal(&self, rng: &dyn Rng, context: &str, plaintext: &[u8]) -> String {
        let nonce: [u8; NONCE_LEN] = random_bytes(rng);
        let mut sealed = plaintext.to_vec();
        self.current
            .key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut sealed,
            )
            .expect("a plaintext of less than 64 GiB");
        format!(
            "{}.{}.{}",
            self.current.id,
            URL_SAFE_NO_PAD.encode(nonce),
            URL_SAFE_NO_PAD.encode(sealed)
        )
    }

    /// What was sealed for `context`.
    pub fn open(&self, context: &str, sealed: &str) -> Result<SecretSlice<u8>, OpenError> {
        let [id, nonce, ciphertext] = split(sealed).ok_or(OpenError::Malformed)?;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| OpenError::Malformed)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| OpenError::Malformed)?;
        let mut bytes = URL_SAFE_NO_PAD
            .decode(ciphertext)
            .map_err(|_| OpenError::Malformed)?;
        let key = self
            .key(id)
            .ok_or_else(|| OpenError::UnknownKey { id: id.to_owned() })?;
        let opened = key
            .key
            .open_in_place(nonce, Aad::from(context), &mut bytes)
            .map_err(|_| OpenError::Refused)?
            .len();
        bytes.truncate(opened);
        Ok(bytes.into())
    }

    /// The text that was sealed for `context`.
    pub fn open_text(&self, context: &str, sealed: &str) -> Result<SecretString, OpenError> {
        let bytes = self.open(context, sealed)?;
        let text = std::str::from_utf8(bytes.expose_secret()).map_err(|_| OpenError::NotText)?;
        Ok(SecretString::from(text))
    }

    /// Whether `sealed` names the key that seals now; if not, key rotation seals it again.
    pub fn is_current(&self, sealed: &str) -> bool {
        split(sealed).is_some_and(|[id, ..]| id == self.current.id)
    }

    fn key(&self, id: &str) -> Option<&Key> {
        std::iter::once(&self.current)
            .chain(&self.older)
            .find(|key| key.id == id)
    }
}

impl Key {
    #[expect(clippy::expect_used, reason = "only a key of another length is refused")]
    fn new(key: &EncryptionKey) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, key.bytes.expose_secret()).expect("32 bytes");
        Self {
            id: key.id.clone(),
            key: LessSafeKey::new(unbound),
        }
    }
}

/// Names of keys only.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<&str> = self.older.iter().map(|key| key.id.as_str()).collect();
        f.debug_struct("Sealer")
            .field("current", &self.current.id)
            .field("older", &older)
            .finish()
    }
}

fn split(sealed: &str) -> Option<[&str; 3]> {
    let mut parts = sealed.split('.');
    let split = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(split)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::{
        clock::SystemRng,
        env::{Env, Service},
    };

    const A: &str = "a:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    const B: &str = "b:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

    fn sealer(keys: &str) -> Sealer {
        let env = Env::from_pairs([("ENCRYPTION_KEYS", keys)]);
        Sealer::new(&env.read(Service::Api, EncryptionKeys::from_env).unwrap())
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens_again_in_its_context(plaintext: Vec<u8>, context: String) {
            let sealer = sealer(A);
            let sealed = sealer.seal(&SystemRng, &context, &plaintext);
            let opened = sealer.open(&context, &sealed).unwrap();
            prop_assert_eq!(opened.expose_secret(), &plaintext[..]);
        }

        #[test]
        fn no_text_makes_opening_panic(text: String) {
            prop_assert!(sealer(A).open("c", &text).is_err());
        }
    }

    #[test]
    fn another_context_does_not_open_it() {
        let sealer = sealer(A);
        let sealed = sealer.seal(&SystemRng, "oauth:1", b"token");
        assert_eq!(
            sealer.open_text("oauth:1", &sealed).unwrap().expose_secret(),
            "token"
        );
        assert_eq!(sealer.open("oauth:2", &sealed).unwrap_err(), OpenError::Refused);
    }

    #[test]
    fn a_changed_character_is_noticed() {
        let sealer = sealer(A);
        let sealed = sealer.seal(&SystemRng, "c", b"token");
        for index in 2..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(sealer.open("c", &altered).is_err(), "{altered} opened");
        }
    }

    #[test]
    fn after_a_rotation_old_values_open_and_new_ones_carry_the_new_key() {
        let (before, after) = (sealer(A), sealer(&format!("{B},{A}")));
        let old = before.seal(&SystemRng, "c", b"token");
        assert_eq!(after.open("c", &old).unwrap().expose_secret(), b"token");
        assert!(!after.is_current(&old));
        let new = after.seal(&SystemRng, "c", b"token");
        assert!(new.starts_with("b.") && after.is_current(&new));
        assert_eq!(
            before.open("c", &new).unwrap_err(),
            OpenError::UnknownKey { id: "b".to_owned() }
        );
    }

    #[test]
    fn the_same_name_with_another_key_is_refused() {
        let sealed = sealer(A).seal(&SystemRng, "c", b"token");
        let other = sealer(&B.replace("b:", "a:"));
        assert_eq!(other.open("c", &sealed).unwrap_err(), OpenError::Refused);
    }

    #[test]
    fn two_seals_of_the_same_text_differ() {
        let sealer = sealer(A);
        assert_ne!(
            sealer.seal(&SystemRng, "c", b"token"),
            sealer.seal(&SystemRng, "c", b"token")
        );
    }

    #[test]
    fn a_value_that_is_not_text_is_not_passed_off_as_text() {
        let sealer = sealer(A);
        let sealed = sealer.seal(&SystemRng, "c", &[0xff]);
        assert_eq!(sealer.open_text("c", &sealed).unwrap_err(), OpenError::NotText);
    }

    #[test]
    fn a_value_sealed_by_the_first_release_still_opens() {
        // Sealed values live in Postgres and Redis: the format is a promise.
        let sealed = include_str!("../tests/golden/sealed.txt").trim_end();
        assert_eq!(
            sealer(A).open_text("golden", sealed).unwrap().expose_secret(),
            "a token at rest"
        );
    }
}
