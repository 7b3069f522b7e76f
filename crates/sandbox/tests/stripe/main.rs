//! The simulated Stripe over real HTTP, as a client and a webhook receiver see it.
//!
//! `cfg(test)` tells clippy that helpers are tests too.

#[cfg(test)]
mod api;
#[cfg(test)]
mod checkout;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod coupons;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod items;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod money;
#[cfg(test)]
mod oddities;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod pauses;
#[cfg(test)]
mod purchases;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod story;
#[cfg(test)]
mod support;
#[cfg(test)]
mod webhooks;
