//! What a change of a subscription would cost.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{StripePriceId, StripeSubscriptionId};
use stripe_billing::invoice::{
    CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
    CreatePreviewInvoiceSubscriptionDetailsItems, CreatePreviewInvoiceSubscriptionDetailsProrationBehavior,
};

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::preview::InvoicePreview,
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

/// A change to preview.
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
    /// that both come to the same sum.
    pub proration_date: Option<DateTime<Utc>>,
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
    details.proration_date = change.proration_date.map(|date| date.timestamp());
    CreatePreviewInvoice::new()
        .subscription(change.subscription.as_str())
        .subscription_details(details)
}
