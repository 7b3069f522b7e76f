//! Checkout Sessions.

use std::collections::{BTreeMap, HashMap};

use rolecall_domain::ids::{StripeCheckoutSessionId, StripeCustomerId, StripePriceId};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionAutomaticTax, CreateCheckoutSessionCustomerCreation,
    CreateCheckoutSessionCustomerUpdate, CreateCheckoutSessionCustomerUpdateAddress,
    CreateCheckoutSessionLineItems, CreateCheckoutSessionPaymentIntentData,
    CreateCheckoutSessionSubscriptionData, RetrieveCheckoutSession,
};
use stripe_shared::CheckoutSessionMode;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::checkout::CheckoutSession,
};

/// What is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purchase {
    /// A subscription, free for the first days if the plan has a trial.
    Subscription {
        /// The length of the trial; Stripe takes one day or more.
        trial_days: Option<u32>,
    },
    /// Something paid once.
    OneTime,
}

/// Who buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buyer {
    /// Somebody Stripe knows.
    Customer(StripeCustomerId),
    /// Somebody new, with this address filled in.
    Email(String),
    /// Somebody new, who types in an address.
    Unknown,
}

/// A Checkout Session to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCheckoutSession {
    /// What kind of sale it is: the price must be of the same kind.
    pub purchase: Purchase,
    /// What is sold.
    pub price: StripePriceId,
    /// How many.
    pub quantity: u64,
    /// Who buys.
    pub buyer: Buyer,
    /// By what we know the session again.
    pub client_reference_id: Option<String>,
    /// Where the buyer goes after paying; `{CHECKOUT_SESSION_ID}` is filled in by Stripe.
    pub success_url: String,
    /// Where the buyer goes who changes their mind.
    pub cancel_url: String,
    /// For the session.
    pub metadata: BTreeMap<String, String>,
    /// For what comes of it: the subscription, or the payment of a one-time purchase.
    pub purchase_metadata: BTreeMap<String, String>,
    /// Whether the buyer may enter a promotion code.
    pub allow_promotion_codes: bool,
    /// Whether Stripe Tax adds the tax.
    pub automatic_tax: bool,
}

impl Client {
    /// A Checkout Session.
    pub async fn get_checkout_session(
        &self,
        id: &StripeCheckoutSessionId,
    ) -> Result<CheckoutSession, StripeError> {
        let request = RetrieveCheckoutSession::new(id.as_str());
        let call = Call::read(
            "GET /v1/checkout/sessions/{id}",
            format!("Checkout Session {id}"),
            &request,
        );
        self.transport.send(&call).await
    }

    /// Creates a Checkout Session, once for each idempotency key.
    pub async fn create_checkout_session(
        &self,
        session: NewCheckoutSession,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, StripeError> {
        let call = Call::write(
            "POST /v1/checkout/sessions",
            "the new Checkout Session",
            &request(session),
            idempotency_key,
        )?;
        self.transport.send(&call).await
    }
}

fn request(session: NewCheckoutSession) -> CreateCheckoutSession {
    let mut item = CreateCheckoutSessionLineItems::new();
    item.price = Some(session.price.as_str().to_owned());
    item.quantity = Some(session.quantity);
    let mut request = CreateCheckoutSession::new()
        .line_items(vec![item])
        .success_url(session.success_url)
        .cancel_url(session.cancel_url);
    if let Some(reference) = session.client_reference_id {
        request = request.client_reference_id(reference);
    }
    if let Some(metadata) = non_empty(session.metadata) {
        request = request.metadata(metadata);
    }
    // Stripe refuses the flag beside other discounts, so it is not sent as `false`.
    if session.allow_promotion_codes {
        request = request.allow_promotion_codes(true);
    }
    request = with_buyer(request, &session.buyer, session.purchase, session.automatic_tax);
    with_purchase(request, session.purchase, non_empty(session.purchase_metadata))
}

fn with_buyer(
    mut request: CreateCheckoutSession,
    buyer: &Buyer,
    purchase: Purchase,
    automatic_tax: bool,
) -> CreateCheckoutSession {
    if automatic_tax {
        request = request.automatic_tax(CreateCheckoutSessionAutomaticTax::new(true));
    }
    match buyer {
        Buyer::Customer(customer) => {
            request = request.customer(customer.as_str());
            // The tax depends on an address that a customer need not have yet.
            if automatic_tax {
                let mut update = CreateCheckoutSessionCustomerUpdate::new();
                update.address = Some(CreateCheckoutSessionCustomerUpdateAddress::Auto);
                request = request.customer_update(update);
            }
            return request;
        }
        Buyer::Email(email) => request = request.customer_email(email),
        Buyer::Unknown => {}
    }
    // A subscription always makes a customer; a payment only on demand.
    if purchase == Purchase::OneTime {
        request = request.customer_creation(CreateCheckoutSessionCustomerCreation::Always);
    }
    request
}

fn with_purchase(
    request: CreateCheckoutSession,
    purchase: Purchase,
    metadata: Option<HashMap<String, String>>,
) -> CreateCheckoutSession {
    match purchase {
        Purchase::Subscription { trial_days } => {
            let mut data = CreateCheckoutSessionSubscriptionData::new();
            data.metadata = metadata;
            data.trial_period_days = trial_days.filter(|days| *days > 0);
            request
                .mode(CheckoutSessionMode::Subscription)
                .subscription_data(data)
        }
        Purchase::OneTime => {
            let mut data = CreateCheckoutSessionPaymentIntentData::new();
            data.metadata = metadata;
            request
                .mode(CheckoutSessionMode::Payment)
                .payment_intent_data(data)
        }
    }
}

fn non_empty(metadata: BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!metadata.is_empty()).then(|| metadata.into_iter().collect())
}
