//! A stateful, strict Stripe on the loopback: API, hosted pages, signed webhooks, and faults on demand.
//!
//! `Simulator::start` runs it and hands out a handle; what can happen to an account is in `story`, what
//! it answers in `api` and `shape`, what it sends in `webhook`, what people see in `pages`.

pub mod api;
mod config;
mod control;
mod error;
pub mod faults;
mod handle;
mod http;
mod json;
mod log;
mod pages;
mod seed;
mod shape;
mod shared;
mod simulator;
pub mod story;
pub mod webhook;
pub mod world;

pub use config::{API_VERSION, AfterRetries, Config, EndpointConfig, StartError};
pub use error::Refusal;
pub use log::LoggedRequest;
pub use seed::PriceSeed;
pub use simulator::{Simulator, TimedOut};
