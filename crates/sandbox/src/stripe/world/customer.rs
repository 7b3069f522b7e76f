//! Customers and their cards.

use serde::{Deserialize, Serialize};

use crate::stripe::world::{Metadata, Row};

/// Who pays.
#[derive(Clone, Debug)]
pub struct Customer {
    /// `cus_...`
    pub id: String,
    /// Where receipts go.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// A note for the owner.
    pub description: Option<String>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// The payment method that invoices are charged to.
    pub card: Option<String>,
    /// Set by the first invoice.
    pub currency: Option<String>,
    /// First part of invoice numbers.
    pub invoice_prefix: String,
    /// Second part of the next invoice number.
    pub next_invoice_sequence: u32,
    /// The test clock that the customer lives by.
    pub test_clock: Option<String>,
    /// Whether it was deleted; only the id is then answered.
    pub deleted: bool,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Customer {
    const OBJECT: &'static str = "customer";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// A card on file.
#[derive(Clone, Debug)]
pub struct PaymentMethod {
    /// `pm_...`
    pub id: String,
    /// Whose it is.
    pub customer: Option<String>,
    /// How it behaves.
    pub card: Card,
    /// Equal for equal card numbers.
    pub fingerprint: String,
    /// The last digits, where the buyer chose a number of their own.
    pub own_last4: Option<String>,
    /// Unix seconds.
    pub created: i64,
}

impl Row for PaymentMethod {
    const OBJECT: &'static str = "PaymentMethod";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl PaymentMethod {
    /// What is told of the number: the caller's own digits, or those of the test number.
    pub fn last4(&self) -> &str {
        self.own_last4.as_deref().unwrap_or(self.card.last4())
    }
}

/// How a card behaves, as with Stripe's test numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Card {
    /// Every payment succeeds.
    #[default]
    Works,
    /// Every payment is declined.
    Declines,
    /// The holder has to confirm every payment.
    RequiresAction,
    /// The first payment succeeds, later ones are declined.
    FailsLater,
    /// Every payment succeeds and is disputed at once.
    IsDisputed,
    /// Every payment succeeds and is asked about by the bank, which is not a dispute yet.
    IsInquired,
    /// Every payment succeeds and the issuer warns of fraud.
    IsReportedAsFraud,
    /// A bank account: every payment arrives days later.
    ArrivesLater,
    /// A bank account: every payment bounces days later.
    BouncesLater,
}

impl Card {
    /// All of them, with what the pages say.
    pub const CHOICES: [(Self, &'static str, &'static str); 9] = [
        (Self::Works, "works", "Works (4242)"),
        (Self::Declines, "declines", "Is declined (0002)"),
        (
            Self::RequiresAction,
            "requires_action",
            "Needs confirmation (3155)",
        ),
        (
            Self::FailsLater,
            "fails_later",
            "Works once, fails on renewal (0341)",
        ),
        (Self::IsDisputed, "is_disputed", "Is disputed as fraud (0259)"),
        (Self::IsInquired, "is_inquired", "Is inquired about (1976)"),
        (
            Self::IsReportedAsFraud,
            "is_reported_as_fraud",
            "Gets an early fraud warning (5423)",
        ),
        (
            Self::ArrivesLater,
            "arrives_later",
            "Bank account, paid in 3 days (6789)",
        ),
        (
            Self::BouncesLater,
            "bounces_later",
            "Bank account, bounces in 3 days (1116)",
        ),
    ];

    /// The last digits of the test number.
    pub fn last4(self) -> &'static str {
        match self {
            Self::Works => "4242",
            Self::Declines => "0002",
            Self::RequiresAction => "3155",
            Self::FailsLater => "0341",
            Self::IsDisputed => "0259",
            Self::IsInquired => "1976",
            Self::IsReportedAsFraud => "5423",
            Self::ArrivesLater => "6789",
            Self::BouncesLater => "1116",
        }
    }

    /// Whether it is a bank account, whose payments take days.
    pub fn takes_days(self) -> bool {
        matches!(self, Self::ArrivesLater | Self::BouncesLater)
    }

    /// Stripe's shorthand payment methods, `pm_card_...`.
    pub fn from_shorthand(id: &str) -> Option<Self> {
        match id {
            "pm_card_visa" => Some(Self::Works),
            "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => Some(Self::Declines),
            "pm_card_authenticationRequired" | "pm_card_threeDSecure2Required" => Some(Self::RequiresAction),
            "pm_card_chargeCustomerFail" => Some(Self::FailsLater),
            "pm_card_createDispute" => Some(Self::IsDisputed),
            "pm_card_createDisputeInquiry" => Some(Self::IsInquired),
            "pm_card_createIssuerFraudRecord" => Some(Self::IsReportedAsFraud),
            "pm_usBankAccount_success" => Some(Self::ArrivesLater),
            "pm_usBankAccount_insufficientFunds" => Some(Self::BouncesLater),
            _ => None,
        }
    }
}
