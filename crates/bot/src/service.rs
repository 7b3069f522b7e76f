//! The bot's parts put together: health, and one term of leadership after the other.

use std::{net::TcpListener, sync::Arc};

use anyhow::Context;
use rolecall_queue::lease::Lease;
use rolecall_runtime::{
    env::Service,
    health::Health,
    shutdown::{Shutdown, Tasks},
};
use tokio_util::task::TaskTracker;

use crate::{
    bot::Bot,
    config::BotConfig,
    health,
    term::{self, End},
};

/// Runs the bot until it is told to stop and has drained.
pub async fn run(config: BotConfig, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let tasks = Tasks::new(shutdown.clone());
    let registry = rolecall_runtime::metrics::registry(Service::Bot)?;
    let drain = config.drain;
    let bot = Arc::new(Bot::new(config, &registry, tasks.clone(), shutdown.clone())?);
    // Every service says how it reaches the database; this one does not.
    tracing::info!(
        version = rolecall_runtime::version::version(),
        "starting; database_pooler=none"
    );

    let lease = Lease::new(&bot.link, health::LEASE, &bot.name, bot.config.lease.ttl);
    let parts = health::parts(&bot, &lease);
    parts.set_role("standby");
    let exporter = health::exporter(registry, &bot);
    let serving = rolecall_runtime::health::serve(listener, parts.clone(), exporter, shutdown.finished());
    tasks.spawn_support("health", serving);
    tasks.spawn_critical("bot", lead(bot, lease, parts));
    tasks
        .run_until_done(drain)
        .await
        .context("the bot did not end as it should")
}

/// Waits for the lease, leads while it lasts, and waits again. At most one bot of all leads.
async fn lead(bot: Arc<Bot>, lease: Lease, health: Health) -> anyhow::Result<()> {
    let draining = bot.shutdown.draining();
    let renewals = TaskTracker::new();
    loop {
        let held = tokio::select! {
            biased;
            () = draining.cancelled() => return Ok(()),
            held = lease.acquire_when_free(&renewals) => held,
        };
        tracing::info!(fence = held.fence(), "leading");
        health.set_role("leader");
        bot.metrics.lease_held.set(1);
        let end = term::lead(&bot, held).await;
        bot.metrics.lease_held.set(0);
        health.set_role("standby");
        match end? {
            End::Drained => return Ok(()),
            End::Lost => tracing::warn!("the lease was lost: standing by"),
        }
    }
}
