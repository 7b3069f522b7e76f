//! The queue against a real Redis. Each test starts a server of its own.
#![cfg(test)]

mod attempts;
mod crashes;
mod dead_jobs;
mod documents;
mod housekeeping;
mod lease;
mod load;
mod metrics;
mod outages;
mod pushing;
mod refusals;
mod support;
