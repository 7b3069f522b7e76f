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
