//! The calls that Rolecall makes to Stripe.

mod account;
mod answer;
mod call;
mod charges;
pub mod checkout;
pub mod config;
mod customers;
pub mod events;
mod invoices;
mod money_lists;
pub mod pace;
mod portal;
pub mod preview;
mod prices;
mod pulse;
mod related;
pub mod retry;
pub mod subscriptions;
mod transport;
mod trials;
mod webhook_endpoints;

use std::sync::Arc;

use crate::client::{
    config::{BuildError, StripeClientConfig},
    transport::Transport,
};

/// The number of objects asked for in a page: the most that Stripe gives.
const PAGE_SIZE: i64 = 100;

/// Stripe, as far as Rolecall needs it. Clones share connections and pace: have one a process.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<Transport>,
}

impl Client {
    /// A client. No connection is made before the first call.
    pub fn new(config: StripeClientConfig) -> Result<Self, BuildError> {
        Ok(Self {
            transport: Arc::new(Transport::new(config)?),
        })
    }

    /// What is wrong with Stripe or the way to it, as the last call found it: the rest of a sentence
    /// that begins with its name. Asks nobody.
    pub fn complaint(&self) -> Option<String> {
        self.transport.complaint()
    }

    /// The API version that calls are made in, and that a webhook endpoint is best created with.
    pub fn api_version() -> String {
        stripe_client_core::VERSION.as_str().to_owned()
    }
}
