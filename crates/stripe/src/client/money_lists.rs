//! Purchases and what became of them, account-wide: for a sweep that compares them with what is kept.

use rolecall_domain::ids::StripeCheckoutSessionId;
use serde::de::DeserializeOwned;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::{checkout::CheckoutSession, dispute::Dispute, page::Page, refund::Refund},
};

impl Client {
    /// One page of the Checkout Sessions that are done, newest first, older than `after`.
    pub async fn list_complete_checkouts(
        &self,
        after: Option<&StripeCheckoutSessionId>,
    ) -> Result<Page<CheckoutSession>, StripeError> {
        let query = [("limit", "100"), ("status", "complete")];
        let after = after.map(StripeCheckoutSessionId::as_str);
        self.page("GET /v1/checkout/sessions", "/checkout/sessions", &query, after)
            .await
    }

    /// One page of all refunds, newest first, older than `after`.
    pub async fn list_refunds(&self, after: Option<&str>) -> Result<Page<Refund>, StripeError> {
        self.page("GET /v1/refunds", "/refunds", &[("limit", "100")], after)
            .await
    }

    /// One page of all disputes, newest first, older than `after`.
    pub async fn list_all_disputes(&self, after: Option<&str>) -> Result<Page<Dispute>, StripeError> {
        self.page("GET /v1/disputes", "/disputes", &[("limit", "100")], after)
            .await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        endpoint: &'static str,
        path: &str,
        query: &[(&str, &str)],
        after: Option<&str>,
    ) -> Result<Page<T>, StripeError> {
        let mut query = query.to_vec();
        query.extend(after.map(|after| ("starting_after", after)));
        let subject = format!("the list {endpoint}");
        self.transport
            .send(&Call::read_path(endpoint, subject, path, &query))
            .await
    }
}
