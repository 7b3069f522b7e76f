//! What a Stripe API key tells about itself.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The mode that an API key works in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyMode {
    /// Test mode or a sandbox: no real money.
    Test,
    /// Real money.
    Live,
}

impl KeyMode {
    /// The mode of a secret (`sk_...`) or restricted (`rk_...`) key; `None` for anything else, a
    /// publishable key for instance.
    pub fn of(key: &SecretString) -> Option<Self> {
        let rest = ["sk_", "rk_"]
            .iter()
            .find_map(|prefix| key.expose_secret().strip_prefix(prefix))?;
        let (mode, secret) = rest.split_once('_')?;
        match mode {
            _ if secret.is_empty() => None,
            "test" => Some(Self::Test),
            "live" => Some(Self::Live),
            _ => None,
        }
    }

    /// The word used in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for KeyMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_is_read_from_the_prefix() {
        for (key, mode) in [
            ("sk_test_1", Some(KeyMode::Test)),
            ("rk_test_1", Some(KeyMode::Test)),
            ("sk_live_1", Some(KeyMode::Live)),
            ("rk_live_1", Some(KeyMode::Live)),
            ("pk_live_1", None),
            ("whsec_test", None),
            ("sk_test_", None),
            ("sk_test", None),
            ("sk_1", None),
            (" sk_test_1", None),
            ("", None),
        ] {
            assert_eq!(KeyMode::of(&key.into()), mode, "{key:?}");
        }
    }
}
