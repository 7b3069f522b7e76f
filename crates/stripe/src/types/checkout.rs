//! Checkout Sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use rolecall_domain::ids::{
    StripeCheckoutSessionId, StripeCustomerId, StripeInvoiceId, StripeSubscriptionId,
};
use serde::Deserialize;

use crate::types::{open_enum::open_enums, tolerant};

open_enums! {
    /// What a Checkout Session is for.
    CheckoutMode {
        /// A one-time purchase.
        Payment = "payment",
        /// Only a payment method.
        Setup = "setup",
        /// A subscription.
        Subscription = "subscription",
    }

    /// Where a Checkout Session stands.
    CheckoutStatus {
        /// The buyer is at it.
        Open = "open",
        /// Done; the payment may still be on its way.
        Complete = "complete",
        /// Too late.
        Expired = "expired",
    }

    /// Whether a Checkout Session is paid.
    PaymentStatus {
        /// Paid.
        Paid = "paid",
        /// Not paid, or not yet.
        Unpaid = "unpaid",
        /// Nothing to pay now: a trial, or a coupon over the whole sum.
        NoPaymentRequired = "no_payment_required",
    }
}

/// A Checkout Session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckoutSession {
    /// `cs_...`
    pub id: StripeCheckoutSessionId,
    /// What it is for.
    #[serde(default)]
    pub mode: CheckoutMode,
    /// Where it stands.
    #[serde(default)]
    pub status: CheckoutStatus,
    /// Whether it is paid.
    #[serde(default)]
    pub payment_status: PaymentStatus,
    /// Who buys.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub customer: Option<StripeCustomerId>,
    /// What came of it in mode `subscription`.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub subscription: Option<StripeSubscriptionId>,
    /// The invoice, where there is one.
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub invoice: Option<StripeInvoiceId>,
    /// The payment of a one-time purchase, `pi_...`
    #[serde(default, deserialize_with = "tolerant::reference")]
    pub payment_intent: Option<String>,
    /// What we gave it to know it by.
    #[serde(default)]
    pub client_reference_id: Option<String>,
    /// What we gave it, too.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// What the buyer typed in.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub customer_details: CustomerDetails,
    /// What was paid, in the smallest unit of the currency.
    #[serde(default)]
    pub amount_total: Option<i64>,
    /// Three lower-case letters.
    #[serde(default)]
    pub currency: Option<String>,
    /// Where to send the buyer; none once it is done.
    #[serde(default)]
    pub url: Option<String>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
    /// When it was made.
    #[serde(default, with = "ts_seconds_option")]
    pub created: Option<DateTime<Utc>>,
    /// When it ends by itself.
    #[serde(default, with = "ts_seconds_option")]
    pub expires_at: Option<DateTime<Utc>>,
}

impl CheckoutSession {
    /// Whether what was bought is to be handed out: done, and paid or nothing to pay.
    pub fn is_fulfillable(&self) -> bool {
        self.status == CheckoutStatus::Complete
            && matches!(
                self.payment_status,
                PaymentStatus::Paid | PaymentStatus::NoPaymentRequired
            )
    }
}

/// What the buyer typed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CustomerDetails {
    /// An e-mail address that nobody has verified.
    #[serde(default)]
    pub email: Option<String>,
}
