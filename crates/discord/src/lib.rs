//! Everything Rolecall says to Discord over HTTP: the bot's calls, the limiter in front of them, and OAuth. It knows
//! no database, no queue and no gateway.

pub mod error;
mod http;
pub mod ids;
pub mod limiter;
pub mod oauth;
pub mod rest;
pub mod unreached;
