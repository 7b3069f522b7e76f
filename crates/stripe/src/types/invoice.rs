//! Invoices.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use rolecall_domain::ids::{StripeCustomerId, StripeInvoiceId, StripeSubscriptionId};
use serde::Deserialize;

use crate::types::{open_enum::open_enums, page::Page, tolerant};

open_enums! {
    /// Where an invoice stands.
    InvoiceStatus {
        /// Not final yet.
        Draft = "draft",
        /// To be paid.
        Open = "open",
        /// Paid.
        Paid = "paid",
        /// Given up.
        Uncollectible = "uncollectible",
        /// Taken back.
        Void = "void",
    }

    /// Why an invoice was made.
    BillingReason {
        /// By hand.
        Manual = "manual",
        /// The first one of a subscription.
        SubscriptionCreate = "subscription_create",
        /// A renewal.
        SubscriptionCycle = "subscription_cycle",
        /// Usage passed a threshold.
        SubscriptionThreshold = "subscription_threshold",
        /// A change of a subscription.
        SubscriptionUpdate = "subscription_update",
        /// A preview.
        Upcoming = "upcoming",
    }
}

/// An invoice. Amounts are in the smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Invoice {
    /// `in_...`
    pub id: StripeInvoiceId,
    /// The status.
    #[serde(default)]
    pub status: InvoiceStatus,
    /// Who pays.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub customer: Option<StripeCustomerId>,
    /// How often a payment was tried.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub attempt_count: u64,
    /// Whether a payment was tried.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub attempted: bool,
    /// When the next try is due; none if Stripe has stopped trying.
    #[serde(default, with = "ts_seconds_option")]
    pub next_payment_attempt: Option<DateTime<Utc>>,
    /// Where the customer can pay it.
    #[serde(default)]
    pub hosted_invoice_url: Option<String>,
    /// What it asks for.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount_due: i64,
    /// What was paid of it.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount_paid: i64,
    /// What is still owed.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub amount_remaining: i64,
    /// Three lower-case letters.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub currency: String,
    /// Why it was made.
    #[serde(default)]
    pub billing_reason: BillingReason,
    /// When it became what it is.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub status_transitions: StatusTransitions,
    /// The begin of the period in which its items came up.
    #[serde(default, with = "ts_seconds_option")]
    pub period_start: Option<DateTime<Utc>>,
    /// The end of that period.
    #[serde(default, with = "ts_seconds_option")]
    pub period_end: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// What it is made of: the first page of it.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub lines: Page<InvoiceLine>,
    /// Set by the account's owner.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
    #[serde(default, deserialize_with = "tolerant::reference")]
    subscription: Option<StripeSubscriptionId>,
    #[serde(default)]
    parent: Option<Parent>,
}

impl Invoice {
    /// The subscription it bills: under `parent` since 2025-03-31, on the invoice itself before.
    pub fn subscription(&self) -> Option<&StripeSubscriptionId> {
        let parent = self
            .parent
            .as_ref()
            .and_then(|parent| parent.subscription_details.as_ref());
        parent
            .and_then(|details| details.subscription.as_ref())
            .or(self.subscription.as_ref())
    }

    /// Until when it pays for; none where no line says.
    pub fn pays_until(&self) -> Option<DateTime<Utc>> {
        self.lines.data.iter().filter_map(|line| line.period.end).max()
    }

    /// Whether it pays for a whole period of a subscription, and not for a change inside one. An invoice of a
    /// subscription that gives no reason does: hardly any is about something else.
    pub fn is_for_a_period(&self) -> bool {
        let no_reason = BillingReason::default();
        self.subscription().is_some()
            && (self.billing_reason == no_reason
                || matches!(
                    self.billing_reason,
                    BillingReason::SubscriptionCreate | BillingReason::SubscriptionCycle
                ))
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct InvoiceLine {
    /// What time it pays for.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub period: LinePeriod,
}

/// What time a line pays for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LinePeriod {
    /// Until when.
    #[serde(default, with = "ts_seconds_option")]
    pub end: Option<DateTime<Utc>>,
}

/// When an invoice reached each status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct StatusTransitions {
    /// When it was made final.
    #[serde(default, with = "ts_seconds_option")]
    pub finalized_at: Option<DateTime<Utc>>,
    /// When it was given up.
    #[serde(default, with = "ts_seconds_option")]
    pub marked_uncollectible_at: Option<DateTime<Utc>>,
    /// When it was paid.
    #[serde(default, with = "ts_seconds_option")]
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    #[serde(default, with = "ts_seconds_option")]
    pub voided_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Parent {
    #[serde(default)]
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct SubscriptionDetails {
    #[serde(default, deserialize_with = "tolerant::reference")]
    subscription: Option<StripeSubscriptionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_and_what_gives_no_reason_pay_for_a_period_and_a_change_inside_one_does_not() {
        let pays = |reason: &str| {
            let invoice = format!(r#"{{"id":"in_1","subscription":"sub_1"{reason}}}"#);
            serde_json::from_str::<Invoice>(&invoice)
                .unwrap()
                .is_for_a_period()
        };
        for reason in ["subscription_create", "subscription_cycle"] {
            assert!(pays(&format!(r#","billing_reason":"{reason}""#)), "{reason}");
        }
        assert!(pays("") && pays(r#","billing_reason":null"#));
        for reason in [
            "subscription_update",
            "subscription_threshold",
            "manual",
            "riddle",
        ] {
            assert!(!pays(&format!(r#","billing_reason":"{reason}""#)), "{reason}");
        }
        let of_nothing: Invoice = serde_json::from_str(r#"{"id":"in_1"}"#).unwrap();
        assert!(!of_nothing.is_for_a_period());
    }
}
