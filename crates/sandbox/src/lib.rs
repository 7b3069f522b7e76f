//! Stripe, Discord and a mail server, simulated: for the demo, for tests, and for faults on demand.
//!
//! The simulators know nothing of Rolecall: they speak the platforms' own protocols, refuse what
//! the platforms refuse, and are driven through pages, through HTTP under `/_sandbox`, or as a library.

// Stripe's objects have more fields than `json!` can take in at the default depth.
#![recursion_limit = "256"]

pub mod clock;
pub mod discord;
pub mod mail;
pub mod network;
pub mod options;
pub mod rng;
pub mod run;
pub mod stripe;
pub mod tasks;
pub mod web;
