//! The only SQL of the project: one module per aggregate, one function per statement.
//!
//! Functions take a connection that stands inside a transaction opened by [`Database::begin`]; the
//! caller owns the transaction, and nothing leaves the process before it is committed.

pub mod alarms;
pub mod audit;
mod begin;
pub mod breakers;
pub mod catalog;
pub mod change_previews;
pub mod checkout_clicks;
pub mod checkout_sessions;
pub mod convert;
pub mod cron_runs;
pub mod customers;
pub mod database;
pub mod discord_accounts;
pub mod due;
pub mod error;
pub mod event_sweeps;
pub mod giving;
pub mod grants;
pub mod guild_snapshots;
pub mod impact;
pub mod inbox;
pub mod inbox_admin;
pub mod inbox_line;
pub mod invoice_failures;
pub mod member_guilds;
pub mod member_records;
pub mod member_roles;
pub mod members;
pub mod notifications;
pub mod payments;
pub mod policies;
pub mod policy_change;
pub mod prices;
pub mod purchases;
mod reach;
pub mod reconcile_findings;
pub mod reconcile_money;
pub mod reconcile_runs;
pub mod reconcile_views;
pub mod sessions;
pub mod staff;
pub mod subscriptions;
pub mod testing;
pub mod timeline;
pub mod trials;
pub mod why;
mod words;

pub use database::{Database, DatabaseOptions, PoolerMode, Transaction};
pub use error::DbError;
pub use sqlx::PgConnection as Connection;
