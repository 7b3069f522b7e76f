//! Subscriptions and their items.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use rolecall_domain::ids::{StripeCustomerId, StripeInvoiceId, StripePriceId, StripeSubscriptionId};
use serde::Deserialize;
use serde_json::Value;

use crate::types::{
    expandable::Expandable, invoice::Invoice, open_enum::open_enums, page::Page, price::Price, tolerant,
};

open_enums! {
    /// Where a subscription stands with Stripe.
    SubscriptionStatus {
        /// The first payment is still open.
        Incomplete = "incomplete",
        /// The first payment was not made within 23 hours. Final.
        IncompleteExpired = "incomplete_expired",
        /// In its trial.
        Trialing = "trialing",
        /// Paid, or its collection is paused: see [`Subscription::pause_collection`].
        Active = "active",
        /// A renewal is owed.
        PastDue = "past_due",
        /// A renewal is owed and Stripe has stopped trying.
        Unpaid = "unpaid",
        /// Ended. Final.
        Canceled = "canceled",
        /// Paused as a whole: see [`Subscription::pause_reason`].
        Paused = "paused",
    }

    /// What happens to the invoices made while collection is paused.
    PauseBehavior {
        /// They stay drafts and are collected later.
        KeepAsDraft = "keep_as_draft",
        /// They count as uncollectible.
        MarkUncollectible = "mark_uncollectible",
        /// They are void.
        Void = "void",
    }

    /// Why a subscription has the status `paused`.
    PauseReason {
        /// The last try to collect a renewal failed.
        FinalPaymentFailure = "final_payment_failure",
        /// The first try to collect a renewal failed.
        FirstPaymentFailure = "first_payment_failure",
        /// Somebody asked for it.
        PauseRequested = "pause_requested",
        /// Stripe did it.
        System = "system",
        /// The trial ended and there was no payment method.
        TrialEndWithoutPaymentMethod = "trial_end_without_payment_method",
    }
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    /// `sub_...`
    pub id: StripeSubscriptionId,
    /// Who pays.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub customer: Option<StripeCustomerId>,
    /// The status; [`SubscriptionStatus::Unknown`] if Stripe invents one.
    #[serde(default)]
    pub status: SubscriptionStatus,
    /// What is bought.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub items: Page<SubscriptionItem>,
    /// Whether it ends with the period that is paid. It has not ended yet.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub cancel_at_period_end: bool,
    /// When it is going to end.
    #[serde(default, with = "ts_seconds_option")]
    pub cancel_at: Option<DateTime<Utc>>,
    /// When its end was asked for: not when it ended.
    #[serde(default, with = "ts_seconds_option")]
    pub canceled_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default, with = "ts_seconds_option")]
    pub ended_at: Option<DateTime<Utc>>,
    /// When the trial began.
    #[serde(default, with = "ts_seconds_option")]
    pub trial_start: Option<DateTime<Utc>>,
    /// When the trial ends or ended.
    #[serde(default, with = "ts_seconds_option")]
    pub trial_end: Option<DateTime<Utc>>,
    /// Set while payments are not collected; the status stays `active`.
    #[serde(default)]
    pub pause_collection: Option<PauseCollection>,
    /// The last invoice, expanded by the calls of this crate.
    #[serde(default, deserialize_with = "tolerant::expandable")]
    pub latest_invoice: Option<Expandable<StripeInvoiceId, Invoice>>,
    /// Set by us at checkout, or by the account's owner.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
    /// When it was made.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// Details of the status, as Stripe writes them (since 2026-09-30).
    #[serde(default)]
    pub status_details: Option<Value>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_start: Option<DateTime<Utc>>,
    #[serde(default, with = "ts_seconds_option")]
    current_period_end: Option<DateTime<Utc>>,
}

impl Subscription {
    /// When the period that runs now began: the earliest of the items.
    pub fn current_period_start(&self) -> Option<DateTime<Utc>> {
        let starts = self
            .items
            .data
            .iter()
            .filter_map(|item| item.current_period_start);
        starts.min().or(self.current_period_start)
    }

    /// When the period that runs now ends: the latest of the items, which may differ. Before
    /// 2025-03-31 the subscription itself had it.
    pub fn current_period_end(&self) -> Option<DateTime<Utc>> {
        let ends = self.items.data.iter().filter_map(|item| item.current_period_end);
        ends.max().or(self.current_period_end)
    }

    /// The last invoice, where it was expanded.
    pub fn expanded_invoice(&self) -> Option<&Invoice> {
        self.latest_invoice.as_ref()?.object()
    }

    /// Why the status is `paused`, where Stripe tells: a pause after a failed payment is not one
    /// that somebody asked for.
    pub fn pause_reason(&self) -> Option<PauseReason> {
        let reason = self
            .status_details
            .as_ref()?
            .pointer("/paused/subscription/type")?;
        reason.as_str().map(PauseReason::from)
    }
}

/// A pause of collection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PauseCollection {
    /// What happens to the invoices meanwhile.
    #[serde(default)]
    pub behavior: PauseBehavior,
    /// When collection goes on by itself.
    #[serde(default, with = "ts_seconds_option")]
    pub resumes_at: Option<DateTime<Utc>>,
}

/// One item of a subscription.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SubscriptionItem {
    /// `si_...`
    pub id: String,
    /// How many; none for metered prices.
    #[serde(default)]
    pub quantity: Option<u64>,
    /// When the period of this item began (since 2025-03-31).
    #[serde(default, with = "ts_seconds_option")]
    pub current_period_start: Option<DateTime<Utc>>,
    /// When the period of this item ends (since 2025-03-31).
    #[serde(default, with = "ts_seconds_option")]
    pub current_period_end: Option<DateTime<Utc>>,
    #[serde(default)]
    price: Option<Expandable<StripePriceId, Price>>,
    #[serde(default)]
    plan: Option<Expandable<StripePriceId, Price>>,
}

impl SubscriptionItem {
    /// What it sells; old API versions call a price a plan.
    pub fn price_id(&self) -> Option<&StripePriceId> {
        match self.price.as_ref().or(self.plan.as_ref())? {
            Expandable::Id(id) => Some(id),
            Expandable::Object(price) => Some(&price.id),
        }
    }

    /// The whole price, where Stripe sent it.
    pub fn price(&self) -> Option<&Price> {
        self.price.as_ref()?.object()
    }
}
