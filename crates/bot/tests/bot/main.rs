//! The bot against a real Redis and a simulated Discord. Needs `redis-server` on the path.
#![cfg(test)]

mod commands;
mod gateway;
mod leadership;
mod messages;
mod privacy;
mod process;
mod sightings;
mod support;
