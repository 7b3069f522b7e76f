//! Subscriptions.

use serde::Deserialize;

use crate::stripe::world::{Metadata, Row};

/// A recurring purchase.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// `sub_...`
    pub id: String,
    /// Who pays.
    pub customer: String,
    /// Where it stands.
    pub status: Status,
    /// What is bought.
    pub items: Vec<Item>,
    /// Lower-case ISO code.
    pub currency: String,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Shown to the customer.
    pub description: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// The moment that periods are counted from.
    pub billing_cycle_anchor: i64,
    /// Whether it ends with the period.
    pub cancel_at_period_end: bool,
    /// When it will end.
    pub cancel_at: Option<i64>,
    /// When somebody asked for the end.
    pub canceled_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Why it ended or will end.
    pub cancellation: Cancellation,
    /// Set while invoices are not collected.
    pub pause_collection: Option<PauseCollection>,
    /// Why and since when it is `paused`.
    pub paused: Option<Paused>,
    /// Start and end of the trial.
    pub trial: Option<(i64, i64)>,
    /// Whether the warning before the trial's end has been sent.
    pub trial_warned: bool,
    /// What happens at the trial's end without a card.
    pub missing_payment_method: MissingPaymentMethod,
    /// The newest invoice.
    pub latest_invoice: Option<String>,
    /// The card, where it differs from the customer's.
    pub payment_method: Option<String>,
    /// Prorations for the next invoice.
    pub pending: Vec<PendingLine>,
    /// Discounts in force, by id.
    pub discounts: Vec<String>,
    /// Whether tax is worked out.
    pub automatic_tax: bool,
    /// The period's end for which `invoice.upcoming` was sent.
    pub upcoming_sent_for: Option<i64>,
    /// A change that waits for its invoice to be paid.
    pub pending_update: Option<PendingUpdate>,
    /// When quantities were changed within the last hour.
    pub quantity_changes: Vec<i64>,
}

impl Row for Subscription {
    const OBJECT: &'static str = "subscription";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn owner(&self) -> Option<&str> {
        Some(&self.customer)
    }
}

impl Subscription {
    /// The latest end of a period over all items.
    pub fn period_end(&self) -> i64 {
        self.items
            .iter()
            .map(|item| item.period_end)
            .max()
            .unwrap_or(self.created)
    }

    /// Whether it is over for good.
    pub fn over(&self) -> bool {
        matches!(self.status, Status::Canceled | Status::IncompleteExpired)
    }
}

/// A change that takes effect when its invoice is paid.
#[derive(Clone, Debug)]
pub struct PendingUpdate {
    /// The invoice.
    pub invoice: String,
    /// The items afterwards.
    pub items: Vec<Item>,
    /// The moment that periods are counted from afterwards, where it changes.
    pub billing_cycle_anchor: Option<i64>,
    /// When it is given up.
    pub expires_at: i64,
}

/// One line of a subscription.
#[derive(Clone, Debug)]
pub struct Item {
    /// `si_...`
    pub id: String,
    /// The price's id.
    pub price: String,
    /// How many.
    pub quantity: i64,
    /// Start of the period.
    pub period_start: i64,
    /// End of the period.
    pub period_end: i64,
    /// Unix seconds.
    pub created: i64,
    /// Free key and value pairs.
    pub metadata: Metadata,
}

/// Stripe's statuses of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The first payment is awaited.
    Incomplete,
    /// The first payment never came.
    IncompleteExpired,
    /// In the trial.
    Trialing,
    /// In order.
    Active,
    /// A renewal is owed.
    PastDue,
    /// Retries are used up.
    Unpaid,
    /// Over.
    Canceled,
    /// Halted.
    Paused,
}

impl Status {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("active", Self::Active),
        ("canceled", Self::Canceled),
        ("incomplete", Self::Incomplete),
        ("incomplete_expired", Self::IncompleteExpired),
        ("past_due", Self::PastDue),
        ("paused", Self::Paused),
        ("trialing", Self::Trialing),
        ("unpaid", Self::Unpaid),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, status)| *status == self)
            .map_or("active", |(name, _)| *name)
    }
}

/// Why a subscription ends.
#[derive(Clone, Debug, Default)]
pub struct Cancellation {
    /// `cancellation_requested`, `payment_failed` or `payment_disputed`.
    pub reason: Option<&'static str>,
    /// The customer's words.
    pub comment: Option<String>,
    /// The customer's choice from a list.
    pub feedback: Option<String>,
}

/// Invoices are made but not collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PauseCollection {
    /// What becomes of the invoices.
    pub behavior: PauseBehavior,
    /// When collection starts again by itself.
    pub resumes_at: Option<i64>,
}

/// What becomes of invoices while collection is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseBehavior {
    /// They stay drafts.
    KeepAsDraft,
    /// They are given up.
    MarkUncollectible,
    /// They are voided.
    Void,
}

impl PauseBehavior {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("keep_as_draft", Self::KeepAsDraft),
        ("mark_uncollectible", Self::MarkUncollectible),
        ("void", Self::Void),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepAsDraft => "keep_as_draft",
            Self::MarkUncollectible => "mark_uncollectible",
            Self::Void => "void",
        }
    }
}

/// Why a subscription is `paused`, in the words of `status_details`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The reason.
    pub reason: PauseReason,
    /// Unix seconds.
    pub since: i64,
    /// Since when the payment of its newest invoice is awaited, to go on.
    pub resuming_since: Option<i64>,
}

/// The reasons for `status=paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// Somebody asked for it.
    Requested,
    /// The retries of a renewal are used up.
    FinalPaymentFailure,
    /// The trial ended and there is no card.
    TrialEndWithoutPaymentMethod,
}

impl PauseReason {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "pause_requested",
            Self::FinalPaymentFailure => "final_payment_failure",
            Self::TrialEndWithoutPaymentMethod => "trial_end_without_payment_method",
        }
    }
}

/// What happens at a trial's end without a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingPaymentMethod {
    /// It is canceled.
    Cancel,
    /// An invoice is made, and fails.
    CreateInvoice,
    /// It is paused.
    Pause,
}

impl MissingPaymentMethod {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("cancel", Self::Cancel),
        ("create_invoice", Self::CreateInvoice),
        ("pause", Self::Pause),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::CreateInvoice => "create_invoice",
            Self::Pause => "pause",
        }
    }
}

/// A proration that waits for the next invoice.
#[derive(Clone, Debug)]
pub struct PendingLine {
    /// The item's id.
    pub item: String,
    /// The price's id.
    pub price: String,
    /// How many.
    pub quantity: i64,
    /// Negative for what is given back.
    pub amount: i64,
    /// Shown on the invoice.
    pub description: String,
    /// What it covers.
    pub period: (i64, i64),
}
