//! The bot against a real Redis and a simulated Discord. Needs `redis-server` on the path.
#![cfg(test)]

mod commands;
mod gateway;
mod kick;
mod leadership;
mod messages;
mod outages;
mod privacy;
mod process;
mod refusals;
mod sightings;
mod support;
