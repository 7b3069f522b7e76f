//! The bot: the one process that holds the gateway connection and makes servers look as told.
//!
//! It knows Discord and Redis: no database, no Stripe key. What should be is decided elsewhere; it carries out,
//! reads back, and reports.

mod bot;
mod catalog;
mod command;
pub mod config;
mod gateway;
mod guard;
mod health;
mod message;
mod metrics;
mod outage;
mod pace;
mod publish;
mod rest;
mod service;
mod status;
mod term;
mod upkeep;
mod world;

pub use crate::service::run;
