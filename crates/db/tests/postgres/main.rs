//! Every statement against a real Postgres. Each test has a database of its own; each function is
//! tried beside a neighbour that it must not touch.
#![cfg(test)]

mod audit;
mod begin;
mod breakers;
mod catalog;
mod change_previews;
mod checkout_clicks;
mod checkout_sessions;
mod cron_runs;
mod customers;
mod discord_accounts;
mod due;
mod errors;
mod event_sweeps;
mod grants;
mod guild_snapshots;
mod inbox;
mod inbox_admin;
mod inbox_line;
mod invoice_failures;
mod member_guilds;
mod member_records;
mod member_roles;
mod members;
mod migrations;
mod notifications;
mod payments;
mod policies;
mod policy_change;
mod pooler;
mod prices;
mod purchases;
mod reach;
mod sessions;
mod staff;
mod subscriptions;
mod support;
mod test_databases;
mod timeline;
mod trials;
mod values;
mod why;
mod words;
