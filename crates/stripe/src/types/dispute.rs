//! What the other side of a payment says about it: disputes, and warnings of fraud.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::Deserialize;

use crate::types::tolerant;

/// A dispute: the holder of the card asks for the money back through their bank.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dispute {
    /// `du_...` or `dp_...`
    pub id: String,
    /// Where it stands, in Stripe's word.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub status: String,
    /// The charge.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub charge: Option<String>,
    /// When it was opened.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
}

/// A warning of the card's network that a payment is likely to be disputed for fraud.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EarlyFraudWarning {
    /// `issfr_...`
    pub id: String,
    /// The charge.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub charge: Option<String>,
    /// When it came.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
}
