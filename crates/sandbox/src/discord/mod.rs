//! Discord, simulated: REST, OAuth, gateway and pages on one port.
//!
//! Strict where Discord is strict: hierarchy, permissions, intents, scopes, rate limits, sessions.
//! It knows nothing of Rolecall and uses no Discord library, so that it is an independent judge.

pub mod config;
pub mod control;
pub mod demo;
pub mod error;
pub mod faults;
pub mod gateway;
pub mod ids;
pub(crate) mod json;
pub mod limits;
pub(crate) mod oauth;
pub(crate) mod pages;
pub mod request_log;
pub(crate) mod rest;
pub(crate) mod server;
pub mod simulator;
pub mod state;

pub use config::Config;
pub use simulator::Simulator;
