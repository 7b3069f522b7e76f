//! How the client calls Stripe, and why one cannot be built.

use std::{sync::Arc, time::Duration};

use rolecall_domain::clock::Rng;
use secrecy::SecretString;
use url::Url;

use crate::{
    client::{pace::RateLimit, retry::RetryPolicy},
    key::KeyMode,
};

/// How the client calls Stripe.
///
/// The secret key does not show in its `Debug`.
#[derive(Debug, Clone)]
pub struct StripeClientConfig {
    /// `STRIPE_API_BASE`: the origin before `/v1`.
    pub api_base: Url,
    /// `STRIPE_SECRET_KEY`: a secret or restricted key.
    pub secret_key: SecretString,
    /// For jitter, and for the idempotency keys of calls that are harmless twice.
    pub rng: Arc<dyn Rng>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for the whole answer, each attempt.
    pub request_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long nobody asks after the key was refused: then one call looks whether it is taken again.
    pub refused_key: Duration,
    /// How long nobody asks after Stripe has said that it is too much (429) and not for how long, less a random
    /// part. It doubles with each time in a row.
    pub first_quiet: Duration,
    /// The account's limit, that we keep under; `None` goes as fast as it can.
    pub rate_limit: Option<RateLimit>,
}

impl StripeClientConfig {
    /// The defaults. Stripe itself is called under the limits of the key's mode; a simulator or
    /// proxy has its own and says so with a 429.
    pub fn new(api_base: Url, secret_key: SecretString, rng: Arc<dyn Rng>) -> Self {
        let is_stripe = api_base
            .host_str()
            .is_some_and(|host| host == "stripe.com" || host.ends_with(".stripe.com"));
        let mode = KeyMode::of(&secret_key).unwrap_or(KeyMode::Test);
        Self {
            api_base,
            secret_key,
            rng,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            refused_key: Duration::from_secs(30),
            first_quiet: Duration::from_secs(1),
            rate_limit: is_stripe.then(|| RateLimit::of_account(mode)),
        }
    }
}

/// Why a client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base is no HTTP origin.
    #[error("STRIPE_API_BASE is not an http or https origin (example: https://api.stripe.com)")]
    ApiBase,
    /// The key cannot stand in a header: a stray line break, for instance.
    #[error("STRIPE_SECRET_KEY has characters that no API key has (example: sk_test_...)")]
    SecretKey,
    /// The process has not chosen its TLS library. A mistake in `main`.
    #[error("no TLS provider is installed: install rustls' default provider first in main")]
    NoTlsProvider,
    /// The HTTP client cannot start: no certificates of authorities, for instance.
    #[error("the HTTP client for Stripe cannot start: are CA certificates installed?")]
    Http(#[source] reqwest::Error),
}
