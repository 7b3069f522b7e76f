//! Disputes, and the warnings that may come before them.

use serde::Deserialize;

use crate::stripe::world::Row;

/// A holder's objection to a charge.
#[derive(Clone, Debug)]
pub struct Dispute {
    /// `du_...`
    pub id: String,
    /// The charge.
    pub charge: String,
    /// Its payment intent.
    pub payment_intent: String,
    /// In the smallest unit.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// Why.
    pub reason: DisputeReason,
    /// Where it stands.
    pub status: DisputeStatus,
    /// How often evidence was sent.
    pub submissions: u32,
    /// Whether the money was taken from the account.
    pub funds_withdrawn: bool,
    /// Unix seconds.
    pub created: i64,
    /// Until when evidence can be sent.
    pub due_by: i64,
}

impl Row for Dispute {
    const OBJECT: &'static str = "dispute";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn owner(&self) -> Option<&str> {
        Some(&self.charge)
    }
}

/// Why a charge is disputed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeReason {
    /// `duplicate`
    Duplicate,
    /// `fraudulent`
    #[default]
    Fraudulent,
    /// `general`
    General,
    /// `product_not_received`
    ProductNotReceived,
    /// `product_unacceptable`
    ProductUnacceptable,
    /// `subscription_canceled`
    SubscriptionCanceled,
    /// `unrecognized`
    Unrecognized,
}

impl DisputeReason {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Fraudulent => "fraudulent",
            Self::General => "general",
            Self::ProductNotReceived => "product_not_received",
            Self::ProductUnacceptable => "product_unacceptable",
            Self::SubscriptionCanceled => "subscription_canceled",
            Self::Unrecognized => "unrecognized",
        }
    }
}

/// Stripe's statuses of a dispute. A warning is an inquiry: no money moves yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// The bank asks; evidence is awaited.
    WarningNeedsResponse,
    /// The bank asks; evidence was sent.
    WarningUnderReview,
    /// The bank asked, and it came to nothing.
    WarningClosed,
    /// Evidence is awaited.
    NeedsResponse,
    /// Evidence was sent.
    UnderReview,
    /// The money came back.
    Won,
    /// The money is gone.
    Lost,
    /// It was settled before it began.
    Prevented,
}

impl DisputeStatus {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        }
    }

    /// Whether it is an inquiry.
    pub fn warns(self) -> bool {
        matches!(
            self,
            Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed
        )
    }

    /// Whether nothing more comes of it.
    pub fn closed(self) -> bool {
        matches!(
            self,
            Self::WarningClosed | Self::Won | Self::Lost | Self::Prevented
        )
    }
}

/// The issuer suspects fraud.
#[derive(Clone, Debug)]
pub struct FraudWarning {
    /// `issfr_...`
    pub id: String,
    /// The charge.
    pub charge: String,
    /// Its payment intent.
    pub payment_intent: String,
    /// What the issuer suspects, such as `made_with_stolen_card`.
    pub fraud_type: &'static str,
    /// Unix seconds.
    pub created: i64,
}

impl Row for FraudWarning {
    const OBJECT: &'static str = "early fraud warning";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn owner(&self) -> Option<&str> {
        Some(&self.charge)
    }
}
