//! Buying: what is on sale, opening a Checkout Session, the billing portal, and how far a purchase
//! has come.

pub(crate) mod offer;
pub(crate) mod portal;
pub(crate) mod progress;
pub(crate) mod start;
