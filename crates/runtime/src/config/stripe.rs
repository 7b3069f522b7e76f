//! Stripe's mode, key and webhook secrets, which must all agree.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Origin,
    env::{Read, Reader, parse, registry},
};

/// `STRIPE_MODE`: play money or real money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeMode {
    /// Play money.
    Test,
    /// Real money.
    Live,
}

impl StripeMode {
    /// Reads `STRIPE_MODE` alone.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let allowed = [Self::Test, Self::Live].map(|mode| (mode.name(), mode));
        reader.get(&registry::STRIPE_MODE, parse::choice(&allowed))
    }

    /// What `livemode` says in events and objects of this mode.
    pub fn is_live(self) -> bool {
        self == Self::Live
    }

    /// The name as it stands in the variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

/// How to call Stripe.
#[derive(Debug, Clone)]
pub struct StripeConfig {
    /// `STRIPE_MODE`.
    pub mode: StripeMode,
    /// `STRIPE_SECRET_KEY`, of that mode.
    pub secret_key: SecretString,
    /// `STRIPE_API_BASE`.
    pub api_base: Origin,
}

impl StripeConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let mode = StripeMode::from_env(reader);
        let secret_key = reader.get(&registry::STRIPE_SECRET_KEY, parse_secret_key);
        let api_base = reader.get(&registry::STRIPE_API_BASE, Origin::parse);

        let (mode, (key_mode, secret_key)) = (mode?, secret_key?);
        if mode != key_mode {
            let problem = format!("is a {} key, but STRIPE_MODE is {}", key_mode.name(), mode.name());
            return Err(reader.fault(&registry::STRIPE_SECRET_KEY, problem));
        }
        Ok(Self {
            mode,
            secret_key,
            api_base: api_base?,
        })
    }
}

/// How to recognise Stripe's webhooks.
#[derive(Debug, Clone)]
pub struct StripeWebhookConfig {
    /// `STRIPE_MODE`: the mode whose events are processed.
    pub mode: StripeMode,
    /// `STRIPE_WEBHOOK_SECRET_TEST`; several while one is rolled.
    pub test_secrets: Vec<SecretString>,
    /// `STRIPE_WEBHOOK_SECRET_LIVE`; several while one is rolled.
    pub live_secrets: Vec<SecretString>,
}

impl StripeWebhookConfig {
    /// Checks the secrets that are set.
    pub(crate) fn check(reader: &mut Reader<'_>) {
        for variable in [
            &registry::STRIPE_WEBHOOK_SECRET_TEST,
            &registry::STRIPE_WEBHOOK_SECRET_LIVE,
        ] {
            drop(reader.find(variable, parse::list(parse_webhook_secret)));
        }
    }

    /// Reads the section. The secrets of the other mode may be missing: its events are dropped.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let mode = StripeMode::from_env(reader);
        let test = reader.find(
            &registry::STRIPE_WEBHOOK_SECRET_TEST,
            parse::list(parse_webhook_secret),
        );
        let live = reader.find(
            &registry::STRIPE_WEBHOOK_SECRET_LIVE,
            parse::list(parse_webhook_secret),
        );

        let (mode, test_secrets, live_secrets) =
            (mode?, test?.unwrap_or_default(), live?.unwrap_or_default());
        let (variable, of_mode) = match mode {
            StripeMode::Test => (&registry::STRIPE_WEBHOOK_SECRET_TEST, &test_secrets),
            StripeMode::Live => (&registry::STRIPE_WEBHOOK_SECRET_LIVE, &live_secrets),
        };
        if of_mode.is_empty() {
            return Err(reader.fault(
                variable,
                format!("is not set, but STRIPE_MODE is {}", mode.name()),
            ));
        }
        let shared = test_secrets.iter().any(|test| {
            live_secrets
                .iter()
                .any(|live| live.expose_secret() == test.expose_secret())
        });
        if shared {
            // The mode of the matching secret decides whether an event is processed.
            return Err(reader.fault(
                &registry::STRIPE_WEBHOOK_SECRET_LIVE,
                "shares a secret with STRIPE_WEBHOOK_SECRET_TEST; each mode has its own",
            ));
        }
        Ok(Self {
            mode,
            test_secrets,
            live_secrets,
        })
    }
}

fn parse_secret_key(text: &str) -> Result<(StripeMode, SecretString), parse::Problem> {
    const PREFIXES: [(&str, StripeMode); 4] = [
        ("sk_test_", StripeMode::Test),
        ("rk_test_", StripeMode::Test),
        ("sk_live_", StripeMode::Live),
        ("rk_live_", StripeMode::Live),
    ];
    if text.starts_with("pk_") {
        return Err("is a publishable key; the secret key begins sk_ or rk_".to_owned());
    }
    let found = PREFIXES
        .iter()
        .find(|(prefix, _)| text.len() > prefix.len() && text.starts_with(prefix));
    let mode = found.map(|(_, mode)| *mode);
    let mode = mode.ok_or("does not begin sk_test_, rk_test_, sk_live_ or rk_live_".to_owned())?;
    Ok((mode, SecretString::from(text)))
}

fn parse_webhook_secret(text: &str) -> Result<SecretString, parse::Problem> {
    match text.strip_prefix("whsec_") {
        Some(rest) if !rest.is_empty() => parse::secret(text),
        _ => Err("does not begin whsec_".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{ConfigError, Env, Service};

    fn env(mode: &str, key: &str) -> Env {
        Env::from_pairs([("STRIPE_MODE", mode), ("STRIPE_SECRET_KEY", key)])
    }

    fn webhooks(pairs: &[(&str, &str)]) -> Result<StripeWebhookConfig, ConfigError> {
        Env::from_pairs(pairs.iter().copied()).read(Service::Api, StripeWebhookConfig::from_env)
    }

    #[test]
    fn a_key_of_the_chosen_mode_is_taken() {
        for (mode, key) in [
            ("test", "sk_test_1"),
            ("test", "rk_test_1"),
            ("live", "sk_live_1"),
            ("live", "rk_live_1"),
        ] {
            let config = env(mode, key)
                .read(Service::Worker, StripeConfig::from_env)
                .unwrap();
            assert_eq!(config.mode.name(), mode);
            assert_eq!(config.secret_key.expose_secret(), key);
            assert_eq!(config.api_base.as_str(), "https://api.stripe.com");
        }
    }

    #[test]
    fn a_key_of_the_other_mode_refuses_to_start() {
        for (mode, key, other) in [("test", "sk_live_1", "live"), ("live", "rk_test_1", "test")] {
            let error = env(mode, key)
                .read(Service::Worker, StripeConfig::from_env)
                .unwrap_err();
            let wanted = format!(
                "STRIPE_SECRET_KEY: is a {other} key, but STRIPE_MODE is {mode} (example: sk_test_replace_me)"
            );
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn what_is_no_secret_key_is_refused() {
        for key in ["pk_test_1", "sk_1", "sk_test_", "whsec_1", "SK_TEST_1"] {
            assert!(
                env("test", key)
                    .read(Service::Worker, StripeConfig::from_env)
                    .is_err(),
                "{key} was accepted"
            );
        }
    }

    #[test]
    fn the_webhook_secret_of_the_chosen_mode_is_required() {
        let test = ("STRIPE_WEBHOOK_SECRET_TEST", "whsec_t");
        let live = ("STRIPE_WEBHOOK_SECRET_LIVE", "whsec_l1,whsec_l2");
        let error = webhooks(&[("STRIPE_MODE", "live"), test]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("STRIPE_WEBHOOK_SECRET_LIVE: is not set, but STRIPE_MODE is live")
        );
        let config = webhooks(&[("STRIPE_MODE", "live"), live]).unwrap();
        assert_eq!((config.test_secrets.len(), config.live_secrets.len()), (0, 2));
        assert!(webhooks(&[live]).is_err(), "the mode is test unless it is said");
        assert!(webhooks(&[test]).is_ok());
    }

    #[test]
    fn one_secret_cannot_stand_for_both_modes() {
        let error = webhooks(&[
            ("STRIPE_WEBHOOK_SECRET_TEST", "whsec_a,whsec_b"),
            ("STRIPE_WEBHOOK_SECRET_LIVE", "whsec_b"),
        ]);
        assert!(error.unwrap_err().to_string().contains("shares a secret"));
    }
}
