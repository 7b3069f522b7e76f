//! Customers.

use std::collections::BTreeMap;

use rolecall_domain::ids::StripeCustomerId;
use stripe_core::customer::{CreateCustomer, RetrieveCustomer};

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::customer::Customer,
};

impl Client {
    /// A customer; a deleted one is found, too.
    pub async fn get_customer(&self, id: &StripeCustomerId) -> Result<Customer, StripeError> {
        let request = RetrieveCustomer::new(id.as_str());
        let call = Call::read("GET /v1/customers/{id}", format!("customer {id}"), &request);
        self.transport.send(&call).await
    }

    /// Creates a customer, once for each idempotency key.
    pub async fn create_customer(
        &self,
        email: Option<&str>,
        metadata: &BTreeMap<String, String>,
        idempotency_key: &str,
    ) -> Result<Customer, StripeError> {
        let mut request = CreateCustomer::new();
        if let Some(email) = email {
            request = request.email(email);
        }
        if !metadata.is_empty() {
            request = request.metadata(
                metadata
                    .clone()
                    .into_iter()
                    .collect::<std::collections::HashMap<_, _>>(),
            );
        }
        let call = Call::write(
            "POST /v1/customers",
            "the new customer",
            &request,
            idempotency_key,
        )?;
        self.transport.send(&call).await
    }
}
