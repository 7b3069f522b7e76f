//! The grammar of the header: `t=<seconds>,v1=<hex>[,v1=<hex>...]`, other schemes ignored.

use crate::signature::MAX_HEADER_BYTES;

/// What a well-formed header says.
#[derive(Debug)]
pub struct SignatureHeader<'a> {
    /// When it was signed, in seconds since 1970.
    pub(crate) timestamp: i64,
    /// The same as Stripe wrote it: this text was signed.
    pub(crate) timestamp_text: &'a str,
    /// The signatures of scheme `v1`: several while a secret is being rolled.
    pub(crate) signatures: Vec<[u8; 32]>,
}

impl<'a> SignatureHeader<'a> {
    /// `None` if it is not a header that Stripe sends.
    ///
    /// A `v1` that is not 64 lower-case hex digits matches nothing; it makes the header malformed
    /// only when no other one is left.
    pub(crate) fn parse(header: &'a [u8]) -> Option<Self> {
        if header.len() > MAX_HEADER_BYTES || !header.is_ascii() {
            return None;
        }
        let mut timestamp_text = None;
        let mut signatures = Vec::new();
        for item in std::str::from_utf8(header).ok()?.split(',') {
            match item.split_once('=')? {
                ("t", value) if timestamp_text.is_none() => timestamp_text = Some(value),
                // Which of two timestamps was signed is not for us to guess.
                ("t", _) => return None,
                ("v1", value) => signatures.extend(parse_signature(value)),
                _ => {}
            }
        }
        let timestamp_text = timestamp_text?;
        let timestamp = parse_timestamp(timestamp_text)?;
        (!signatures.is_empty()).then_some(Self {
            timestamp,
            timestamp_text,
            signatures,
        })
    }
}

/// Digits only, and written in the one way a number is written: no sign, no leading zero.
fn parse_timestamp(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn parse_signature(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut signature = [0; 32];
    hex::decode_to_slice(text, &mut signature).ok()?;
    Some(signature)
}
