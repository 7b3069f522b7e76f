//! The account of the key.

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::account::Account,
};

impl Client {
    /// The account that the key belongs to: the cheapest check of a key.
    pub async fn get_account(&self) -> Result<Account, StripeError> {
        self.transport
            .send(&Call::read_path(
                "GET /v1/account",
                "the account",
                "/account",
                &[],
            ))
            .await
    }
}
