//! System tests: the real services as processes, real Postgres, Redis, HTTP and websockets.
#![cfg(test)]

mod browser;
mod chaos;
mod config;
mod discord;
mod events;
mod faults;
mod load;
mod money;
mod plans;
mod pooler;
mod reconcile;
mod rolling;
mod running;
mod stories;
mod support;
