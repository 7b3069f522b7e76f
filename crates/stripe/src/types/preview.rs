//! The preview of an invoice: what a change would cost.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use serde::Deserialize;

use crate::types::{page::Page, tolerant};

/// An invoice that does not exist: it has no id that could be read again. Amounts are in the
/// smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InvoicePreview {
    /// What would be charged. Required: a preview without it says nothing.
    pub amount_due: i64,
    /// What the lines come to, with tax.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub total: i64,
    /// Three lower-case letters.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub currency: String,
    /// When payment would be tried.
    #[serde(default, with = "ts_seconds_option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    /// What it is for.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub lines: Page<PreviewLine>,
}

/// One line of a preview.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PreviewLine {
    /// What it adds to the sum; below zero for time given back.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount: i64,
    /// For people, in the account's language.
    #[serde(default)]
    pub description: Option<String>,
    /// How many.
    #[serde(default)]
    pub quantity: Option<u64>,
    /// The time it pays for.
    #[serde(default)]
    pub period: Option<Period>,
    #[serde(default)]
    proration: Option<bool>,
    #[serde(default)]
    parent: Option<LineParent>,
}

impl PreviewLine {
    /// Whether it settles part of a period: under `parent` since 2025-03-31, on the line before.
    pub fn is_proration(&self) -> bool {
        let details = self.parent.iter().flat_map(|parent| {
            [
                parent.subscription_item_details.as_ref(),
                parent.invoice_item_details.as_ref(),
            ]
        });
        details
            .flatten()
            .find_map(|details| details.proration)
            .or(self.proration)
            .unwrap_or_default()
    }
}

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Period {
    /// The begin.
    #[serde(default, with = "ts_seconds_option")]
    pub start: Option<DateTime<Utc>>,
    /// The end.
    #[serde(default, with = "ts_seconds_option")]
    pub end: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct LineParent {
    #[serde(default)]
    subscription_item_details: Option<LineDetails>,
    #[serde(default)]
    invoice_item_details: Option<LineDetails>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct LineDetails {
    #[serde(default)]
    proration: Option<bool>,
}
