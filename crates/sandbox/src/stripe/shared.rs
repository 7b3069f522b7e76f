//! The account behind its lock, and the signals that tell when it has changed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use crate::stripe::world::World;

/// What the API, the pages, the sender and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    world: Mutex<World>,
    revision: watch::Sender<u64>,
    deliveries: Notify,
    /// The keys that are accepted.
    pub secret_keys: Vec<String>,
}

impl Shared {
    /// Shares an account.
    pub(crate) fn new(world: World, secret_keys: Vec<String>) -> Self {
        let revision = watch::Sender::new(0);
        Self {
            world: Mutex::new(world),
            revision,
            deliveries: Notify::new(),
            secret_keys,
        }
    }

    /// Looks at the account.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the account and tells everybody who waits.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let result = act(&mut self.lock());
        self.revision
            .send_modify(|revision| *revision = revision.wrapping_add(1));
        self.deliveries.notify_one();
        result
    }

    /// Takes from the queue; nobody is told, because nothing visible changes.
    pub(crate) fn with_queue<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        act(&mut self.lock())
    }

    /// Resolves when there may be something new to deliver; a signal that came before is kept.
    pub(crate) fn deliveries_changed(&self) -> Notified<'_> {
        self.deliveries.notified()
    }

    /// Follows the account's changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// A panic while the lock was held is a failed test already; the state is still worth looking at.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
