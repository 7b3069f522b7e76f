//! The `Stripe-Signature` header.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// `t=...,v1=...` with one `v1` for each secret in force.
pub fn header(timestamp: i64, body: &[u8], secrets: &[String]) -> String {
    let mut parts = vec![format!("t={timestamp}")];
    parts.extend(
        secrets
            .iter()
            .map(|secret| format!("v1={}", signature(timestamp, body, secret))),
    );
    parts.join(",")
}

fn signature(timestamp: i64, body: &[u8], secret: &str) -> String {
    // HMAC takes keys of every length, so the error cannot occur; an empty signature would be refused anyway.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `openssl dgst -sha256 -hmac`.
    const KNOWN: &str = "cadaa7d3969bfb3d2eb29334f30dba6a9887b21221ab72200cff0ad25e8a7bc0";

    #[test]
    fn every_secret_in_force_signs() {
        let secrets = ["whsec_new".to_owned(), "whsec_test".to_owned()];
        let header = header(1_767_225_600, b"{\"id\": \"evt_1\"}", &secrets);
        assert!(header.starts_with("t=1767225600,v1="));
        assert!(header.ends_with(&format!(",v1={KNOWN}")), "{header}");
        assert_eq!(header.matches("v1=").count(), 2);
    }
}
