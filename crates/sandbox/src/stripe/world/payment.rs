//! Charges and refunds.

use crate::stripe::world::{Metadata, Row};

/// One attempt to take money.
#[derive(Clone, Debug)]
pub struct Charge {
    /// `ch_...`
    pub id: String,
    /// The payment intent it belongs to.
    pub payment_intent: String,
    /// The invoice it paid.
    pub invoice: Option<String>,
    /// Who paid.
    pub customer: Option<String>,
    /// The card.
    pub payment_method: Option<String>,
    /// In the smallest unit.
    pub amount: i64,
    /// How much went back, over all refunds.
    pub amount_refunded: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// Whether the money came.
    pub succeeded: bool,
    /// Whether the holder has ever disputed it.
    pub disputed: bool,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Charge {
    const OBJECT: &'static str = "charge";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn owner(&self) -> Option<&str> {
        self.customer.as_deref()
    }
}

impl Charge {
    /// Whether an early fraud warning still asks for something to be done.
    pub fn actionable(&self) -> bool {
        !self.disputed && self.amount_refunded < self.amount
    }
}

/// Money given back.
#[derive(Clone, Debug)]
pub struct Refund {
    /// `re_...`
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
    pub reason: Option<String>,
    /// Where it stands.
    pub status: RefundStatus,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Refund {
    const OBJECT: &'static str = "refund";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// Stripe's statuses of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundStatus {
    /// Under way.
    Pending,
    /// The money went back.
    Succeeded,
    /// The bank did not take it back.
    Failed,
    /// It was called off while it was pending.
    Canceled,
}

impl RefundStatus {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment from its first attempt to its end; each attempt is a charge.
#[derive(Clone, Debug)]
pub struct PaymentIntent {
    /// `pi_...`
    pub id: String,
    /// The invoice it pays.
    pub invoice: Option<String>,
    /// Who pays.
    pub customer: Option<String>,
    /// The card that was tried last.
    pub payment_method: Option<String>,
    /// In the smallest unit.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// The newest attempt.
    pub latest_charge: Option<String>,
    /// When a payment that takes days comes to its end.
    pub settles_at: Option<i64>,
    /// Whether the last attempt was declined.
    pub declined: bool,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub canceled_at: Option<i64>,
}

impl Row for PaymentIntent {
    const OBJECT: &'static str = "payment_intent";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
    fn owner(&self) -> Option<&str> {
        self.customer.as_deref()
    }
}

/// Stripe's statuses of a payment, without those of manual capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentStatus {
    /// Not tried, or declined.
    RequiresPaymentMethod,
    /// The holder has to confirm.
    RequiresAction,
    /// The money is on its way.
    Processing,
    /// The money came.
    Succeeded,
    /// Called off.
    Canceled,
}

impl IntentStatus {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}
