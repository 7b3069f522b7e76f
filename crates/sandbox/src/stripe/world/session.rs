//! Checkout sessions and billing portal sessions.

use crate::stripe::world::discount::DiscountWish;
use crate::stripe::world::{Metadata, Row};

/// A purchase that is being made on the hosted page.
#[derive(Clone, Debug)]
pub struct CheckoutSession {
    /// `cs_test_...`
    pub id: String,
    /// What the page does.
    pub mode: Mode,
    /// Where it stands.
    pub status: SessionStatus,
    /// What is bought.
    pub lines: Vec<SessionLine>,
    /// Lower-case ISO code.
    pub currency: Option<String>,
    /// Known from the start, or made on completion.
    pub customer: Option<String>,
    /// Filled into the form.
    pub customer_email: Option<String>,
    /// What the buyer typed.
    pub entered_email: Option<String>,
    /// `always` or `if_required`.
    pub customer_creation: Option<String>,
    /// The owner's reference.
    pub client_reference_id: Option<String>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Where the buyer goes afterwards.
    pub success_url: String,
    /// Where the buyer goes back to.
    pub cancel_url: Option<String>,
    /// How the subscription is made.
    pub subscription_data: SubscriptionData,
    /// Metadata of the payment or of the saved card.
    pub intent_metadata: Metadata,
    /// Whether codes can be typed in.
    pub allow_promotion_codes: Option<bool>,
    /// What is taken off.
    pub discounts: Vec<DiscountWish>,
    /// Whether tax is worked out; the rate is nothing.
    pub automatic_tax: bool,
    /// Whether a trial can begin without a card.
    pub card_if_required: bool,
    /// The kinds of payment offered; all where the list is empty.
    pub payment_method_types: Vec<String>,
    /// Whether the session is complete and its money still on its way.
    pub awaits_payment: bool,
    /// The page's language.
    pub locale: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// What came of it.
    pub subscription: Option<String>,
    /// The first invoice.
    pub invoice: Option<String>,
    /// The payment of a one-time purchase.
    pub payment_intent: Option<String>,
    /// The intent of a saved card.
    pub setup_intent: Option<String>,
}

impl Row for CheckoutSession {
    const OBJECT: &'static str = "checkout.session";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// One line of a checkout session.
#[derive(Clone, Debug)]
pub struct SessionLine {
    /// `li_...`
    pub id: String,
    /// The price's id.
    pub price: String,
    /// How many.
    pub quantity: i64,
}

/// What a checkout session passes to the subscription it makes.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionData {
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Shown to the customer.
    pub description: Option<String>,
    /// Free days before the first payment.
    pub trial_days: Option<i64>,
    /// When the free time ends, where it is given as a moment.
    pub trial_end: Option<i64>,
    /// What happens at the trial's end without a card.
    pub missing_payment_method: Option<crate::stripe::world::subscription::MissingPaymentMethod>,
}

/// What a checkout session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A one-time purchase.
    Payment,
    /// A card is saved.
    Setup,
    /// A subscription.
    Subscription,
}

impl Mode {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("payment", Self::Payment),
        ("setup", Self::Setup),
        ("subscription", Self::Subscription),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Setup => "setup",
            Self::Subscription => "subscription",
        }
    }
}

/// Where a checkout session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// The buyer can pay.
    Open,
    /// Done.
    Complete,
    /// Too late.
    Expired,
}

impl SessionStatus {
    /// All of them, with their names in JSON.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("complete", Self::Complete),
        ("expired", Self::Expired),
        ("open", Self::Open),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// A visit to the billing portal.
#[derive(Clone, Debug)]
pub struct PortalSession {
    /// `bps_...`
    pub id: String,
    /// Whose portal.
    pub customer: String,
    /// Where the link back leads.
    pub return_url: Option<String>,
    /// The page's language.
    pub locale: Option<String>,
    /// Unix seconds.
    pub created: i64,
}

impl Row for PortalSession {
    const OBJECT: &'static str = "billing_portal.session";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}
