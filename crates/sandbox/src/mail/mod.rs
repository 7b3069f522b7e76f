//! A mail server that keeps what it is given: SMTP in, a mailbox page and JSON out, refusals on demand.

mod http;
mod mailbox;
pub mod message;
mod mime;
mod session;
mod simulator;

pub use simulator::{Config, Simulator};
