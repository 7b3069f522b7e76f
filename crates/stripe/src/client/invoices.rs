//! Invoices.

use rolecall_domain::ids::{StripeInvoiceId, StripeSubscriptionId};
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};

use crate::{
    client::{Client, PAGE_SIZE, call::Call},
    error::StripeError,
    types::{invoice::Invoice, page::Page},
};

impl Client {
    /// An invoice.
    pub async fn get_invoice(&self, id: &StripeInvoiceId) -> Result<Invoice, StripeError> {
        let request = RetrieveInvoice::new(id.as_str());
        self.transport
            .send(&Call::read(
                "GET /v1/invoices/{id}",
                format!("invoice {id}"),
                &request,
            ))
            .await
    }

    /// One page of the invoices of a subscription, newest first, older than `after`.
    pub async fn list_invoices(
        &self,
        subscription: &StripeSubscriptionId,
        after: Option<&StripeInvoiceId>,
    ) -> Result<Page<Invoice>, StripeError> {
        let mut request = ListInvoice::new()
            .subscription(subscription.as_str())
            .limit(PAGE_SIZE);
        if let Some(after) = after {
            request = request.starting_after(after.as_str());
        }
        let subject = format!("the invoices of subscription {subscription}");
        self.transport
            .send(&Call::read("GET /v1/invoices", subject, &request))
            .await
    }
}
