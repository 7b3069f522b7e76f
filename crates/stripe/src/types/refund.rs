//! Refunds: money that went back.

use serde::Deserialize;

use crate::types::tolerant;

/// A refund. The amount is in the smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// `re_...` or `pyr_...`
    pub id: String,
    /// How much.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount: i64,
    /// Where it stands, in Stripe's word.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub status: String,
    /// The charge.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub charge: Option<String>,
}

impl Refund {
    /// Whether the money has gone or is on its way.
    pub fn counts(&self) -> bool {
        !matches!(self.status.as_str(), "failed" | "canceled")
    }
}
