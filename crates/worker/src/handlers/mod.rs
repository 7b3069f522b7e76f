//! One handler a file: what is done for each kind of job.

mod converge_member;
mod discord_events;
mod fulfill_checkout;
mod process_event;
mod role_outcome;
mod run_cron;
mod send_notification;
mod stripe_event;
mod sync_plans;
mod sync_subscription;

use std::sync::Arc;

use rolecall_queue::Registry;

use crate::ctx::Ctx;

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
        .handle(role_outcome::run)
        .handle(discord_events::joined)
        .handle(discord_events::left)
        .handle(discord_events::roles_changed)
        .handle(discord_events::guild_observed)
}

/// A context as handlers get it.
pub(crate) type SharedCtx = Arc<Ctx>;
