//! Webhook endpoints, for the check of the set-up.

use serde::Deserialize;

use crate::types::{open_enum::open_enums, tolerant};

open_enums! {
    /// Whether Stripe sends.
    WebhookEndpointStatus {
        /// It does.
        Enabled = "enabled",
        /// It does not, and what comes up meanwhile is never sent.
        Disabled = "disabled",
    }
}

/// Where Stripe sends events.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_...`
    pub id: String,
    /// The address.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub url: String,
    /// Whether Stripe sends.
    #[serde(default)]
    pub status: WebhookEndpointStatus,
    /// The event types, or `*`.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub enabled_events: Vec<String>,
    /// The shape of its events; none for the account's default.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
}
