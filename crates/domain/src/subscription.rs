//! What we know of a Stripe subscription: the facts that a standing is derived from.

use std::{convert::Infallible, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{catalog::PlanSlug, ids::StripeSubscriptionId, reversal::Reversal};

/// Stripe's `subscription.status`.
///
/// Source: <https://docs.stripe.com/api/subscriptions/object#subscription_object-status>.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum SubscriptionStatus {
    /// The first payment has not succeeded yet; Stripe waits 23 hours for it.
    Incomplete,
    /// The first payment never succeeded. Final.
    IncompleteExpired,
    /// In a trial.
    Trialing,
    /// Paid for.
    Active,
    /// The newest renewal failed and Stripe still tries.
    PastDue,
    /// Stripe has stopped trying, and the owner chose to keep the subscription.
    Unpaid,
    /// Over. Final.
    Canceled,
    /// Paused by Stripe: a trial ended without a payment method, or a pause on demand or on failure.
    Paused,
    /// A status that this version does not know.
    Unknown(String),
}

impl SubscriptionStatus {
    /// Every status that this version knows.
    pub const KNOWN: [Self; 8] = [
        Self::Incomplete,
        Self::IncompleteExpired,
        Self::Trialing,
        Self::Active,
        Self::PastDue,
        Self::Unpaid,
        Self::Canceled,
        Self::Paused,
    ];

    /// Stripe's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Incomplete => "incomplete",
            Self::IncompleteExpired => "incomplete_expired",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Unpaid => "unpaid",
            Self::Canceled => "canceled",
            Self::Paused => "paused",
            Self::Unknown(other) => other,
        }
    }

    /// Whether Stripe never changes it again.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::IncompleteExpired | Self::Canceled)
    }
}

impl From<String> for SubscriptionStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "incomplete" => Self::Incomplete,
            "incomplete_expired" => Self::IncompleteExpired,
            "trialing" => Self::Trialing,
            "active" => Self::Active,
            "past_due" => Self::PastDue,
            "unpaid" => Self::Unpaid,
            "canceled" => Self::Canceled,
            "paused" => Self::Paused,
            _ => Self::Unknown(text),
        }
    }
}

impl FromStr for SubscriptionStatus {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text.to_owned()))
    }
}

impl From<SubscriptionStatus> for String {
    fn from(status: SubscriptionStatus) -> Self {
        status.as_str().to_owned()
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The facts about one subscription that its standing depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Stripe's id.
    pub id: StripeSubscriptionId,
    /// The plan that its first price sells; `None` when no plan sells it.
    pub plan: Option<PlanSlug>,
    /// Stripe's status.
    pub status: SubscriptionStatus,
    /// `pause_collection` is set: the person, or the owner for them, paused it.
    pub collection_paused: bool,
    /// Stripe's time of the first failed attempt on the oldest invoice that is still owed.
    pub owed_since: Option<DateTime<Utc>>,
    /// What became of the payment for the period that runs now.
    pub reversal: Option<Reversal>,
    /// The last standing that was derived, kept for a status that this version does not know.
    pub last_standing: Option<crate::standing::Standing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_known_by_its_word() {
        for status in SubscriptionStatus::KNOWN {
            assert!(!matches!(status, SubscriptionStatus::Unknown(_)));
            assert_eq!(SubscriptionStatus::from(status.to_string()), status);
        }
        let words = SubscriptionStatus::KNOWN.map(|status| status.to_string());
        let words: std::collections::BTreeSet<_> = words.into_iter().collect();
        assert_eq!(words.len(), SubscriptionStatus::KNOWN.len());
    }
}
