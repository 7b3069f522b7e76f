//! Stripe's objects as far as we use them, read tolerantly: unknown fields and enum values pass, a
//! missing or null field is its default, both object shapes are understood. What an object cannot
//! do without is its own id: without one it is an error.

pub mod account;
pub mod charge;
pub mod checkout;
pub mod customer;
pub mod dispute;
pub mod expandable;
pub mod invoice;
mod open_enum;
pub mod page;
pub mod portal;
pub mod preview;
pub mod price;
pub mod refund;
pub mod subscription;
pub(crate) mod tolerant;
pub mod trial;
pub mod webhook_endpoint;
