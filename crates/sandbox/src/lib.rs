//! Stripe, Discord and a mail server, simulated: for the demo, for tests, and for faults on demand.
//!
//! The simulators know nothing of Rolecall: they speak the platforms' own protocols, refuse what
//! the platforms refuse, and are driven through pages, through HTTP under `/_sandbox`, or as a library.

pub mod discord;
pub mod mail;
pub mod stripe;
