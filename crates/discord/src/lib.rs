//! Everything Rolecall says to Discord over HTTP: the bot's calls, the limiter in front of them, OAuth, and the
//! check of the role order. It knows no database, no queue and no gateway.

pub mod error;
pub mod hierarchy;
mod http;
pub mod ids;
pub mod limiter;
pub mod oauth;
pub mod rest;
