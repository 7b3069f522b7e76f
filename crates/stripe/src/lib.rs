//! Everything that knows Stripe: the calls we make, the webhook signature check, and event and
//! object types that survive what Stripe adds, renames or leaves out.

pub mod client;
pub mod endpoint_check;
pub mod error;
pub mod event;
pub mod key;
pub mod signature;
pub mod types;
