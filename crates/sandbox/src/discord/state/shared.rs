//! The one lock around the world, and the bell that rings after every change.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    discord::{config::Config, state::World},
};

/// What all requests and connections share.
pub(crate) struct Shared {
    world: Mutex<World>,
    clock: Clock,
    origin: String,
    changes: watch::Sender<u64>,
    started: Instant,
    stopped: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: &Config, origin: String) -> Self {
        let now = config.clock.wall();
        Self {
            world: Mutex::new(World::new(config, now)),
            clock: config.clock.clone(),
            origin,
            changes: watch::Sender::new(0),
            started: Instant::now(),
            stopped: CancellationToken::new(),
        }
    }

    /// The world, to read.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world and rings the bell.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World, DateTime<Utc>) -> T) -> T {
        let now = self.now();
        let outcome = change(&mut self.world(), now);
        self.ring();
        outcome
    }

    /// Tells who waits that something has changed.
    pub(crate) fn ring(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.wall()
    }

    /// Real time since the simulator started.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// `http://host:port`.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// `ws://host:port/gateway`.
    pub(crate) fn gateway_url(&self) -> String {
        format!("{}/gateway", self.origin.replacen("http", "ws", 1))
    }

    /// A number that grows with every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends when the simulator shuts down.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }
}
