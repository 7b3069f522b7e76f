//! The billing portal.

use rolecall_domain::ids::StripeCustomerId;
use stripe_billing::billing_portal_session::CreateBillingPortalSession;
use url::Url;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::portal::PortalSession,
};

impl Client {
    /// Opens the billing portal for a customer, who comes back to `return_url`.
    pub async fn create_portal_session(
        &self,
        customer: &StripeCustomerId,
        return_url: &Url,
    ) -> Result<PortalSession, StripeError> {
        let request = CreateBillingPortalSession::new()
            .customer(customer.as_str())
            .return_url(return_url.as_str());
        let call = Call::harmless_write(
            "POST /v1/billing_portal/sessions",
            format!("the billing portal of customer {customer}"),
            &request,
            &*self.transport.rng,
        );
        self.transport.send(&call).await
    }
}
