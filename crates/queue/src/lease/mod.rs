//! A lease: at most one process at a time does something, and everybody else can tell a late
//! word of a former holder by its fencing token.

mod held;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use redis::{AsyncCommands, RedisError};
use tokio_util::task::TaskTracker;

pub use crate::lease::held::HeldLease;
use crate::{causes::causes, link::Link, scripts, time::millis};

/// A lease that can be taken.
#[derive(Debug, Clone)]
pub struct Lease {
    link: Link,
    key: String,
    fence_key: String,
    owner: String,
    ttl: Duration,
    /// When somebody else was last seen holding it.
    other_seen: Arc<Mutex<Option<Instant>>>,
}

/// The script's word for a lease that somebody else holds.
const HELD: i64 = 0;

impl Lease {
    /// The lease `<namespace>:<name>` for `owner`, whose name no other process may ever use.
    pub fn new(link: &Link, name: &str, owner: &str, ttl: Duration) -> Self {
        let key = format!("{}:{name}", link.namespace());
        // The braces put the counter into the cluster slot of the lease, whose key has none.
        let fence_key = format!("{{{key}}}:fence");
        Self {
            link: link.clone(),
            key,
            fence_key,
            owner: owner.to_owned(),
            ttl,
            other_seen: Arc::default(),
        }
    }

    /// Takes the lease, unless somebody else holds it. It is renewed by a task of `tasks` until
    /// it is released, dropped, or lost.
    ///
    /// A Redis that has lost its memory says that nobody holds the lease, while its holder does not know yet. Whoever
    /// has seen one lately waits until that one's term must be over.
    pub async fn acquire(&self, tasks: &TaskTracker) -> Result<Option<HeldLease>, RedisError> {
        // Counted from before the request: Redis starts counting later, so we end earlier.
        let asked = Instant::now();
        let mut call = scripts::call(&scripts::LEASE_ACQUIRE, &[&self.key, &self.fence_key]);
        call.arg(&self.owner)
            .arg(millis(self.ttl))
            .arg(u8::from(self.may_be_held(asked)));
        let answer: i64 = scripts::run(&self.link, &scripts::LEASE_ACQUIRE, &call).await?;
        if answer == HELD {
            *self.other_seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let fence = u64::try_from(answer).ok().filter(|fence| *fence > 0);
        Ok(fence.map(|fence| HeldLease::keep(self.clone(), fence, asked, tasks)))
    }

    /// Whether somebody else who was seen holding it may still act on that.
    fn may_be_held(&self, now: Instant) -> bool {
        let seen = *self.other_seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|seen| now.saturating_duration_since(seen) < self.ttl)
    }

    /// Waits until the lease is free, and takes it.
    pub async fn acquire_when_free(&self, tasks: &TaskTracker) -> HeldLease {
        let mut round: u64 = 0;
        loop {
            match self.acquire(tasks).await {
                Ok(Some(held)) => return held,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(
                        error = causes(&error),
                        lease = self.key,
                        "cannot ask for the lease"
                    );
                }
            }
            tokio::time::sleep(self.pause(round)).await;
            round = round.wrapping_add(1);
        }
    }

    /// The pause before the lease is asked for again: about a tenth of its lifetime, and never the same for all who
    /// wait, whose names differ.
    fn pause(&self, round: u64) -> Duration {
        let mut hasher = DefaultHasher::new();
        (&self.owner, round).hash(&mut hasher);
        let [chance, ..] = hasher.finish().to_le_bytes();
        self.ttl / 10 * (192 + u32::from(chance) / 2) / 256
    }

    /// Who holds the lease.
    pub async fn holder(&self) -> Result<Option<String>, RedisError> {
        self.link.clone().get(&self.key).await
    }

    /// Extends the lease; whether it was still ours.
    async fn renew(&self) -> Result<bool, RedisError> {
        let mut call = scripts::call(&scripts::LEASE_RENEW, &[&self.key]);
        call.arg(&self.owner).arg(millis(self.ttl));
        scripts::run(&self.link, &scripts::LEASE_RENEW, &call).await
    }

    async fn release(&self) -> Result<(), RedisError> {
        let mut call = scripts::call(&scripts::LEASE_RELEASE, &[&self.key]);
        call.arg(&self.owner);
        scripts::run(&self.link, &scripts::LEASE_RELEASE, &call).await
    }

    /// When a lease that was confirmed by a request begun at `asked` may be acted on no more:
    /// a tenth before Redis lets go of it, for what is on its way by then.
    fn deadline(&self, asked: Instant) -> Instant {
        asked + self.ttl * 9 / 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkOptions;

    #[test]
    fn those_who_wait_for_a_lease_do_not_ask_in_step() {
        let link = Link::new("redis://127.0.0.1:1", "test", LinkOptions::default()).unwrap();
        let ttl = Duration::from_secs(10);
        let pauses = |owner: &str| {
            let lease = Lease::new(&link, "bot:lease", owner, ttl);
            (0..50).map(|round| lease.pause(round)).collect::<Vec<_>>()
        };
        let (one, other) = (pauses("bot-1"), pauses("bot-2"));
        let in_step = one.iter().zip(&other).filter(|(one, other)| one == other).count();
        assert!(in_step < 5, "{in_step} of 50 pauses are the same");
        for pause in one.iter().chain(&other) {
            assert!(*pause >= ttl * 3 / 40 && *pause <= ttl / 8, "{pause:?}");
        }
    }
}
