//! The worker: drains the queues into Postgres, and runs what recurs.
//!
//! It has no Discord secret. It decides what should be; the bot makes it so.

pub mod catalog;
pub mod checkout;
pub mod config;
mod confirmation;
pub mod converge;
pub mod cron;
pub mod ctx;
pub mod error;
pub mod handlers;
mod health;
pub mod intake;
pub mod mail;
pub mod metrics;
pub mod observe;
pub mod payments;
pub mod prices;
pub mod reconcile;
mod service;
pub mod sync;
pub mod timing;
pub mod trials;

pub use crate::service::run;
