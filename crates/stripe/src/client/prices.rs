//! Prices.

use rolecall_domain::ids::StripePriceId;
use stripe_product::price::RetrievePrice;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::price::Price,
};

impl Client {
    /// A price, with its product expanded.
    pub async fn get_price(&self, id: &StripePriceId) -> Result<Price, StripeError> {
        let subject = format!("price {id}");
        // Old plans may bear any name, but not one that would lead to another path.
        let name = id.as_str();
        if name.is_empty() || name.contains(['/', '\\']) || name.chars().all(|letter| letter == '.') {
            return Err(StripeError::NotFound { subject });
        }
        let request = RetrievePrice::new(name).expand(vec!["product".to_owned()]);
        self.transport
            .send(&Call::read("GET /v1/prices/{id}", subject, &request))
            .await
    }
}
