//! How a simulated Stripe is set up.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::clock::Clock;

/// The API version that objects and events have unless a request or an endpoint says otherwise.
pub const API_VERSION: &str = "2026-09-30.endive";

/// What a simulator is started with. One simulator is one account in one mode.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The keys that are accepted. `sk_live_...` makes it a live-mode account; modes cannot be mixed.
    pub secret_keys: Vec<String>,
    /// Webhook endpoints that exist from the start.
    pub endpoints: Vec<EndpointConfig>,
    /// The account's time.
    pub clock: Clock,
    /// Seed of ids and faults; `None` takes one from the clock.
    pub seed: Option<u64>,
    /// Waits between the attempts of a delivery; when they are used up the delivery has failed.
    pub retry_schedule: Vec<Duration>,
    /// How many webhooks are under way at once; 1 keeps their order.
    pub delivery_concurrency: usize,
    /// What becomes of a subscription when all retries of an invoice have failed.
    pub after_retries: AfterRetries,
    /// Days from each failed attempt of a renewal to the next; then the retries are used up.
    pub retry_days: Vec<u16>,
}

/// The owner's setting for the end of the payment retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterRetries {
    /// The subscription is canceled.
    Cancel,
    /// It becomes `unpaid`.
    MarkUnpaid,
    /// It stays `past_due`.
    LeavePastDue,
    /// It becomes `paused`, with `final_payment_failure` as the reason.
    Pause,
}

impl AfterRetries {
    /// All of them, with their names in JSON and what the pages say.
    pub const CHOICES: [(Self, &'static str, &'static str); 4] = [
        (Self::Cancel, "cancel", "Cancel the subscription"),
        (Self::MarkUnpaid, "mark_unpaid", "Mark it unpaid"),
        (Self::LeavePastDue, "leave_past_due", "Leave it past due"),
        (Self::Pause, "pause", "Pause it"),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        let mut choices = Self::CHOICES.iter();
        choices
            .find(|(choice, _, _)| *choice == self)
            .map_or("cancel", |(_, name, _)| *name)
    }
}

/// A webhook endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Where events are posted.
    pub url: String,
    /// The signing secret, `whsec_...`.
    pub secret: String,
    /// Event types, or `*`.
    pub enabled_events: Vec<String>,
    /// The version of the payloads; `None` is the account's.
    pub api_version: Option<String>,
}

impl EndpointConfig {
    /// An endpoint for every type of event, in the account's version.
    pub fn all(url: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            secret: secret.into(),
            enabled_events: vec!["*".to_owned()],
            api_version: None,
        }
    }
}

impl Config {
    /// A test-mode account with one key, on a free port of the loopback.
    pub fn new(secret_key: impl Into<String>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_keys: vec![secret_key.into()],
            endpoints: Vec::new(),
            clock: Clock::system(),
            seed: None,
            retry_schedule: [200, 500, 1_000, 2_000, 5_000, 10_000]
                .map(Duration::from_millis)
                .to_vec(),
            delivery_concurrency: 4,
            after_retries: AfterRetries::Cancel,
            retry_days: vec![3, 5, 7],
        }
    }
}

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The client for webhooks could not be built.
    #[error("cannot build the HTTP client for webhooks")]
    Client(#[from] reqwest::Error),
    /// No key, a key that is none, or keys of both modes.
    #[error("secret keys must all start with sk_test_ or rk_test_, or all with sk_live_ or rk_live_")]
    Keys,
}
