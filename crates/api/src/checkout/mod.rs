//! Buying: what is on sale, opening a Checkout Session, changing a plan, the billing portal, and how far
//! a purchase has come.

pub(crate) mod change;
pub(crate) mod customer;
pub(crate) mod held;
pub(crate) mod offer;
pub(crate) mod portal;
pub(crate) mod progress;
mod refusal;
pub(crate) mod start;
