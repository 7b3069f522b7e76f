//! Webhook endpoints.

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::{page::Page, webhook_endpoint::WebhookEndpoint},
};

impl Client {
    /// All webhook endpoints: Stripe allows no more than a page of them in an account.
    pub async fn list_webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, StripeError> {
        let call = Call::read_path(
            "GET /v1/webhook_endpoints",
            "the webhook endpoints",
            "/webhook_endpoints",
            &[("limit", "100")],
        );
        let page: Page<WebhookEndpoint> = self.transport.send(&call).await?;
        Ok(page.data)
    }
}
