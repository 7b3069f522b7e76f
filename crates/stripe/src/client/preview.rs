//! What a change of a subscription would cost, and the change.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{StripePriceId, StripeSubscriptionId};
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
};
use stripe_billing::subscription::{
    UpdateSubscription, UpdateSubscriptionItems, UpdateSubscriptionPaymentBehavior,
    UpdateSubscriptionProrationBehavior,
};

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::{preview::InvoicePreview, subscription::Subscription},
};

/// How the rest of the running period is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proration {
    /// Settled and charged at once.
    AlwaysInvoice,
    /// Settled with the next invoice.
    CreateProrations,
    /// Not settled.
    None,
}

/// A change to preview or to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// What is changed.
    pub subscription: StripeSubscriptionId,
    /// The item that is changed, `si_...`
    pub item: String,
    /// The new price; `None` keeps it.
    pub price: Option<StripePriceId>,
    /// The new quantity; `None` keeps it.
    pub quantity: Option<u64>,
    /// How the rest of the period is settled.
    pub proration: Proration,
    /// The moment the settlement is reckoned from: the same for the preview and for the change, so
    /// that both come to the same sum. Stripe is told of it only where something is settled, and
    /// refuses it otherwise.
    pub proration_date: Option<DateTime<Utc>>,
}

impl SubscriptionChange {
    fn settled_from(&self) -> Option<i64> {
        let date = self.proration_date.filter(|_| self.proration != Proration::None);
        date.map(|date| date.timestamp())
    }
}

impl Client {
    /// The invoice that a change would lead to. Changes nothing.
    pub async fn create_preview(&self, change: &SubscriptionChange) -> Result<InvoicePreview, StripeError> {
        let call = Call::harmless_write(
            "POST /v1/invoices/create_preview",
            format!("the preview for subscription {}", change.subscription),
            &request(change),
            &*self.transport.rng,
        );
        self.transport.send(&call).await
    }

    /// Makes a change, once for each idempotency key. If it has to be paid at once and is not, nothing is
    /// changed.
    pub async fn change_subscription(
        &self,
        change: &SubscriptionChange,
        idempotency_key: &str,
    ) -> Result<Subscription, StripeError> {
        let call = Call::write(
            "POST /v1/subscriptions/{id}",
            format!("the change of subscription {}", change.subscription),
            &update(change),
            idempotency_key,
        )?;
        self.transport.send(&call).await
    }
}

fn update(change: &SubscriptionChange) -> UpdateSubscription {
    use UpdateSubscriptionProrationBehavior as Behavior;

    let mut item = UpdateSubscriptionItems::new();
    item.id = Some(change.item.clone());
    item.price = change.price.as_ref().map(|price| price.as_str().to_owned());
    item.quantity = change.quantity;
    let request = UpdateSubscription::new(change.subscription.as_str())
        .items(vec![item])
        .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete)
        .proration_behavior(match change.proration {
            Proration::AlwaysInvoice => Behavior::AlwaysInvoice,
            Proration::CreateProrations => Behavior::CreateProrations,
            Proration::None => Behavior::None,
        });
    match change.settled_from() {
        Some(date) => request.proration_date(date),
        None => request,
    }
}

fn request(change: &SubscriptionChange) -> CreatePreviewInvoice {
    use CreatePreviewInvoiceSubscriptionDetailsProrationBehavior as Behavior;

    let mut item = CreatePreviewInvoiceSubscriptionDetailsItems::new();
    item.id = Some(change.item.clone());
    item.price = change.price.as_ref().map(|price| price.as_str().to_owned());
    item.quantity = change.quantity;
    let mut details = CreatePreviewInvoiceSubscriptionDetails::new();
    details.items = Some(vec![item]);
    details.proration_behavior = Some(match change.proration {
        Proration::AlwaysInvoice => Behavior::AlwaysInvoice,
        Proration::CreateProrations => Behavior::CreateProrations,
        Proration::None => Behavior::None,
    });
    details.proration_date = change.settled_from();
    CreatePreviewInvoice::new()
        .subscription(change.subscription.as_str())
        .subscription_details(details)
}
