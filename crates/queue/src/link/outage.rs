//! One log line when trouble begins and one when it ends, however many notice it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use redis::RedisError;

use crate::causes::causes;

/// A kind of trouble that lasts.
#[derive(Debug)]
pub(crate) struct Outage {
    what: &'static str,
    since: Mutex<Option<Instant>>,
}

impl Outage {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self {
            what,
            since: Mutex::new(None),
        }
    }

    /// Somebody ran into the trouble.
    pub(crate) fn began(&self, error: &RedisError) {
        let mut since = self.since();
        if since.is_none() {
            *since = Some(Instant::now());
            tracing::warn!(error = causes(error), "{}: trying until it is over", self.what);
        }
    }

    /// What was in trouble worked again.
    pub(crate) fn ended(&self) {
        if let Some(since) = self.since().take() {
            let outage_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(outage_ms, "{}: over", self.what);
        }
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
