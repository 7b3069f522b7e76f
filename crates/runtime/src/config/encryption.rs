//! The keys that seal OAuth tokens at rest.

use std::{collections::BTreeSet, sync::Arc};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::SecretBox;

use crate::env::{Read, Reader, parse, registry};

/// As `openssl rand -base64 32` writes it, with or without the final `=`.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const LONGEST_ID: usize = 32;

/// A 256-bit key and the name by which sealed values refer to it.
#[derive(Debug, Clone)]
pub struct EncryptionKey {
    /// The name.
    pub id: String,
    /// The key; shared, so that a copy of the configuration is not a copy of the key.
    pub bytes: Arc<SecretBox<[u8; 32]>>,
}

/// `ENCRYPTION_KEYS`: the first key seals, all of them open.
#[derive(Debug, Clone)]
pub struct EncryptionKeys {
    /// The key that seals.
    pub current: EncryptionKey,
    /// Keys that only open, kept until nothing is sealed with them.
    pub older: Vec<EncryptionKey>,
}

impl EncryptionKeys {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        reader.get(&registry::ENCRYPTION_KEYS, parse_keys)
    }

    /// Checks the section where it is set.
    pub(crate) fn check(reader: &mut Reader<'_>) {
        drop(reader.find(&registry::ENCRYPTION_KEYS, parse_keys));
    }

    /// All keys, the sealing one first.
    pub fn iter(&self) -> impl Iterator<Item = &EncryptionKey> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

fn parse_keys(text: &str) -> Result<EncryptionKeys, parse::Problem> {
    let mut keys = parse::list(parse_key)(text)?.into_iter();
    let current = keys.next().ok_or("holds no key".to_owned())?;
    let keys = EncryptionKeys {
        current,
        older: keys.collect(),
    };
    let mut ids = BTreeSet::new();
    if keys.iter().all(|key| ids.insert(key.id.as_str())) {
        Ok(keys)
    } else {
        Err("uses an id twice".to_owned())
    }
}

fn parse_key(text: &str) -> Result<EncryptionKey, parse::Problem> {
    let (id, key) = text
        .split_once(':')
        .ok_or("is not of the form id:base64".to_owned())?;
    // The id stands in front of a dot in what it seals.
    let plain = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if id.is_empty() || id.len() > LONGEST_ID || !plain {
        return Err(format!(
            "has an id that is not 1 to {LONGEST_ID} letters, digits, - or _"
        ));
    }
    let bytes = BASE64
        .decode(key)
        .map_err(|_| "has a key that is not base64".to_owned())?;
    let length = bytes.len();
    let bytes = bytes
        .try_into()
        .map_err(|_| format!("has a key of {length} bytes, must be 32"))?;
    Ok(EncryptionKey {
        id: id.to_owned(),
        bytes: Arc::new(SecretBox::new(Box::new(bytes))),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn the_first_key_seals_and_the_others_are_kept() {
        let keys = parse_keys(&format!("new:{ONES}, old:{}", ONES.trim_end_matches('='))).unwrap();
        assert_eq!(keys.current.id, "new");
        assert_eq!(keys.current.bytes.expose_secret(), &[1; 32]);
        assert_eq!(
            keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(),
            ["new", "old"]
        );
    }

    #[test]
    fn a_bad_key_is_told_by_its_place_and_not_by_its_text() {
        for (text, problem) in [
            (format!("a:{ONES},b"), "item 2 is not of the form id:base64"),
            (
                format!("a:{ONES},b:AQEB"),
                "item 2 has a key of 3 bytes, must be 32",
            ),
            ("a:%%%".to_owned(), "has a key that is not base64"),
            (
                format!("a.b:{ONES}"),
                "has an id that is not 1 to 32 letters, digits, - or _",
            ),
            (
                format!(":{ONES}"),
                "has an id that is not 1 to 32 letters, digits, - or _",
            ),
            (format!("a:{ONES},a:{ONES}"), "uses an id twice"),
        ] {
            assert_eq!(parse_keys(&text).unwrap_err(), problem);
        }
    }

    #[test]
    fn keys_do_not_print() {
        let shown = format!("{:?}", parse_keys(&format!("k1:{ONES}")).unwrap());
        assert!(shown.contains("k1") && shown.contains("REDACTED"), "{shown}");
        assert!(!shown.contains("[1, 1"), "{shown}");
    }
}
