//! Charges: what was taken, given back or disputed.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use rolecall_domain::ids::{StripeCustomerId, StripeInvoiceId};
use serde::Deserialize;

use crate::types::tolerant;

/// A charge. Amounts are in the smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// `ch_...` or `py_...`
    pub id: String,
    /// What was taken.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount: i64,
    /// What was given back so far, all refunds together.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount_refunded: i64,
    /// Whether everything was given back.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub refunded: bool,
    /// Whether the holder of the card has disputed it.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub disputed: bool,
    /// Three lower-case letters.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub currency: String,
    /// Who paid.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub customer: Option<StripeCustomerId>,
    /// The payment, `pi_...`
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub payment_intent: Option<String>,
    /// The invoice, before 2025-03-31. Since then see `Client::find_invoice_paid_by`.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub invoice: Option<StripeInvoiceId>,
    /// When it was made.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
}
