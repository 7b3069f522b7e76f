//! The worker against a real Postgres and a real Redis, a simulated Stripe and mail server, and a model
//! of the bot with its Discord server. Jobs are stepped by the tests, so that every order can be told.
#![cfg(test)]

mod bad_days;
mod burst;
mod catalog;
mod checkout;
mod converge;
mod crashes;
mod cron;
mod due_rows;
mod dunning;
mod events_sweep;
mod grace;
mod grants;
mod histories;
mod kick;
mod mail;
mod observe;
mod policy;
mod protocol;
mod provenance;
mod pumping;
mod purchases;
mod reconcile;
mod reconcile_money;
mod replay;
mod reversals;
mod set_up;
mod support;
mod sync;
mod thin;
mod trials;
mod writing;
