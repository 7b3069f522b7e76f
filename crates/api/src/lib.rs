//! The public web service: webhooks in, sign-in, the JSON API, and the pages that members see.
//!
//! It decides nothing about roles: it writes what members do, and tells the worker to look.

mod account;
mod app;
pub mod args;
mod assets;
mod checkout;
pub mod config;
mod error;
mod health;
mod hints;
mod http;
mod json;
mod live;
mod metrics;
mod migrations;
mod pages;
pub mod run;
mod session;
mod shop;
mod sign_in;
mod site;
mod state;
mod webhook;
