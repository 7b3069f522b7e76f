//! One handler a file: what is done for each kind of job.

pub mod converge_member;
pub mod discord_events;
pub mod fulfill_checkout;
pub mod message_outcome;
pub mod process_event;
pub mod reconcile;
pub mod role_outcome;
pub mod run_cron;
pub mod send_notification;
pub mod stripe_event;
pub mod sync_plans;
pub mod sync_subscription;

use std::sync::Arc;

use rolecall_queue::{Queue, Registry};

use crate::ctx::Ctx;

/// The queues, and how many of each one's jobs run at a time: more than the pool has connections,
/// because most of a job is waiting for Stripe. Of events as many as are kept in one commit.
pub const QUEUES: [(Queue, usize); 5] = [
    (Queue::AccountEvents, 4),
    (Queue::StripeEvents, 256),
    (Queue::RoleOutcomes, 4),
    (Queue::DiscordEvents, 2),
    (Queue::Jobs, 4),
];

/// Every kind that the worker handles.
pub fn registry() -> Registry<Ctx> {
    Registry::new()
        .handle(stripe_event::run)
        .handle(process_event::run)
        .handle(converge_member::run)
        .handle(fulfill_checkout::run)
        .handle(sync_subscription::run)
        .handle(send_notification::run)
        .handle(sync_plans::run)
        .handle(run_cron::run)
        .handle(reconcile::run)
        .handle(role_outcome::run)
        .handle(message_outcome::run)
        .handle(discord_events::joined)
        .handle(discord_events::left)
        .handle(discord_events::roles_changed)
        .handle(discord_events::guild_observed)
}

/// A context as handlers get it.
pub type SharedCtx = Arc<Ctx>;
