//! Invoices.

use crate::stripe::world::{Metadata, Row};

/// A bill.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// `in_...`
    pub id: String,
    /// Who pays.
    pub customer: String,
    /// What it bills; `None` for a one-time purchase.
    pub subscription: Option<String>,
    /// The subscription's metadata when the invoice was finalised.
    pub subscription_metadata: Metadata,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// Lower-case ISO code.
    pub currency: String,
    /// What is billed.
    pub lines: Vec<Line>,
    /// Why it exists.
    pub billing_reason: &'static str,
    /// How much has been paid.
    pub amount_paid: i64,
    /// How often payment was tried.
    pub attempt_count: u32,
    /// When payment is tried next.
    pub next_payment_attempt: Option<i64>,
    /// The human number, once finalised.
    pub number: Option<String>,
    /// The payment intent of a finalised invoice.
    pub payment_intent: Option<String>,
    /// The charge that paid it.
    pub charge: Option<String>,
    /// Start and end of the period in which lines were gathered.
    pub period: (i64, i64),
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Whether tax is worked out; the rate is nothing.
    pub automatic_tax: bool,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub finalized_at: Option<i64>,
    /// Unix seconds.
    pub paid_at: Option<i64>,
    /// Unix seconds.
    pub voided_at: Option<i64>,
    /// Unix seconds.
    pub uncollectible_at: Option<i64>,
}

impl Row for Invoice {
    const OBJECT: &'static str = "invoice";
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

impl Invoice {
    /// The sum of the lines before discounts, which may be negative.
    pub fn subtotal(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// The sum of the lines after discounts, which may be negative.
    pub fn total(&self) -> i64 {
        self.lines.iter().map(Line::net).sum()
    }

    /// What has to be paid.
    pub fn amount_due(&self) -> i64 {
        self.total().max(0)
    }
}

/// One position of an invoice.
#[derive(Clone, Debug)]
pub struct Line {
    /// `il_...`
    pub id: String,
    /// In the smallest unit.
    pub amount: i64,
    /// Shown on the invoice.
    pub description: String,
    /// The price's id.
    pub price: String,
    /// How many.
    pub quantity: i64,
    /// What it covers.
    pub period: (i64, i64),
    /// Whether it corrects a period that was billed already.
    pub proration: bool,
    /// The subscription item it bills.
    pub item: Option<String>,
    /// What each discount takes off.
    pub discounts: Vec<(String, i64)>,
}

impl Line {
    /// The amount after discounts.
    pub fn net(&self) -> i64 {
        self.amount - self.discounts.iter().map(|(_, off)| off).sum::<i64>()
    }
}

/// Stripe's statuses of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvoiceStatus {
    /// Not final.
    Draft,
    /// Owed.
    Open,
    /// Paid.
    Paid,
    /// Given up.
    Uncollectible,
    /// Taken back.
    Void,
}

impl InvoiceStatus {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("draft", Self::Draft),
        ("open", Self::Open),
        ("paid", Self::Paid),
        ("uncollectible", Self::Uncollectible),
        ("void", Self::Void),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
        }
    }
}
