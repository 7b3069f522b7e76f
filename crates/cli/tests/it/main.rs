//! The command as a process, on a real Postgres and a real Redis, with a Stripe that knows one event.
#![cfg(test)]

mod events;
mod jobs;
mod people;
mod policy;
mod reconcile;
mod support;
