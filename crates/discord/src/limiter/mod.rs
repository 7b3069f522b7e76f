//! Keeps under Discord's limits by reading them from every answer, so that a normal run never sees a 429.
//!
//! Ask [`Limiter::acquire`] before each request and tell [`Permit::complete`] what came back. Buckets are learned
//! from the headers: an unknown one gets a single request first, and later ones are let out as far as the server
//! has said, less what is in flight. Those in [`Lane::Now`] go before those in [`Lane::Bulk`].

mod answer;
mod bucket;
mod budget;
mod global;
mod route;
mod snapshot;
mod state;
mod window;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

pub use crate::limiter::{
    answer::{Answer, LimitScope, Limited},
    budget::BudgetSpent,
    route::Route,
    snapshot::Snapshot,
};
use crate::limiter::{
    bucket::Turn,
    state::{BucketId, Grant, State},
};

/// Who is served first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Somebody waits for it.
    Now,
    /// A sweep: it may take its time.
    Bulk,
}

/// The limits that no header tells.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests a second over all routes.
    pub requests_per_second: usize,
    /// Refused requests (401, 403, 429) in ten minutes at which Discord bans the address.
    pub invalid_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 50,
            invalid_requests: 10_000,
        }
    }
}

/// How fast a route may be used, as Discord's headers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a window.
    pub limit: u32,
    /// The length of the window.
    pub window: Duration,
}

impl Rate {
    /// About how long `requests` take from now, one window's worth being free at once.
    pub fn time_for(&self, requests: u32) -> Duration {
        self.window * (requests.saturating_sub(1) / self.limit.max(1))
    }
}

/// What the limiter is doing, for metrics and health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Requests that wait in [`Lane::Now`].
    pub waiting_now: usize,
    /// Requests that wait in [`Lane::Bulk`].
    pub waiting_bulk: usize,
    /// Requests sent and not answered yet, without interaction answers.
    pub in_flight: usize,
    /// Answers with status 429 since the start.
    pub rate_limited: u64,
    /// Refused requests (401, 403, 429) of the last ten minutes.
    pub invalid_requests: u32,
    /// How long everything is still stopped by Discord's order.
    pub held_for: Option<Duration>,
}

/// The limiter. Clones share their state.
#[derive(Debug, Clone)]
pub struct Limiter {
    state: Arc<Mutex<State>>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Limiter {
    /// A limiter that knows nothing of Discord's buckets yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(limits))),
        }
    }

    /// Waits until a request to `route` may be sent.
    ///
    /// Dropping the future gives the place back. There is no limit to the wait: in the bulk lane it can be long.
    pub async fn acquire(&self, route: &Route, lane: Lane) -> Result<Permit, BudgetSpent> {
        let mut ticket = Ticket::new(self, route, lane);
        loop {
            match ticket.check() {
                Check::Granted(grant) => {
                    return Ok(Permit {
                        limiter: self.clone(),
                        grant: Some(grant),
                    });
                }
                Check::Refused(refusal) => return Err(refusal),
                Check::Wait(until) => ticket.wait(until).await,
            }
        }
    }

    /// How fast `route` may be used, if an answer has told.
    pub fn rate(&self, route: &Route) -> Option<Rate> {
        let (limit, window) = self.lock().find(route)?.rate()?;
        Some(Rate { limit, window })
    }

    /// What the limiter is doing.
    pub fn stats(&self) -> Stats {
        self.lock().stats(Instant::now())
    }

    /// What has to survive a restart. Keep it where the next process finds it, and write it often.
    pub fn snapshot(&self, now: DateTime<Utc>) -> Snapshot {
        Snapshot::take(&mut self.lock(), Instant::now(), now)
    }

    /// Takes over what an earlier process knew. Each bucket is probed once before it is trusted, because that
    /// process may have gone on after its last snapshot.
    pub fn restore(&self, snapshot: &Snapshot, now: DateTime<Utc>) {
        let mut state = self.lock();
        snapshot.apply(&mut state, Instant::now(), now);
        state.wake_first();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is counters and queues: after a panic elsewhere they are as good as they were.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to send one request.
///
/// Dropped without [`complete`](Permit::complete) or [`cancel`](Permit::cancel), its request counts as sent: that may
/// waste a place, but never overruns.
#[derive(Debug)]
#[must_use = "a permit dropped unused costs a request"]
pub struct Permit {
    limiter: Limiter,
    grant: Option<Grant>,
}

impl Permit {
    /// Tells the limiter what came back.
    pub fn complete(mut self, answer: &Answer) {
        self.settle(|state, grant, now| state.answered(grant, answer, now));
    }

    /// Gives the place back: the request was surely not sent.
    pub fn cancel(mut self) {
        self.settle(|state, grant, _| state.give_back(grant));
    }

    fn settle(&mut self, what: impl FnOnce(&mut State, &Grant, Instant)) {
        if let Some(grant) = self.grant.take() {
            let now = Instant::now();
            let mut state = self.limiter.lock();
            what(&mut state, &grant, now);
            state.pump(now);
            state.wake_first();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(State::abandoned);
    }
}

/// A place in the queue, given up when dropped.
struct Ticket<'a> {
    limiter: &'a Limiter,
    route: &'a Route,
    bucket: BucketId,
    turn: Turn,
    wake: Arc<Notify>,
    done: bool,
}

enum Check {
    Granted(Grant),
    Refused(BudgetSpent),
    Wait(Option<Instant>),
}

impl<'a> Ticket<'a> {
    fn new(limiter: &'a Limiter, route: &'a Route, lane: Lane) -> Self {
        let wake = Arc::new(Notify::new());
        let (bucket, turn) = limiter
            .lock()
            .enqueue(route, lane, Arc::clone(&wake), Instant::now());
        Self {
            limiter,
            route,
            bucket,
            turn,
            wake,
            done: false,
        }
    }

    fn check(&mut self) -> Check {
        let now = Instant::now();
        let mut state = self.limiter.lock();
        state.pump(now);
        match state.take_outcome(self.turn) {
            Some(outcome) => {
                self.done = true;
                // Whoever is first now has to watch the clock.
                state.wake_first();
                match outcome {
                    Ok(granted) => Check::Granted(granted.into_grant(self.route.clone())),
                    Err(refusal) => Check::Refused(refusal),
                }
            }
            None => Check::Wait(state.look_again_at(self.bucket, self.turn, now)),
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        match until {
            Some(until) => tokio::select! {
                () = self.wake.notified() => {}
                () = sleep_until(until) => {}
            },
            None => self.wake.notified().await,
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.done {
            let now = Instant::now();
            let mut state = self.limiter.lock();
            state.withdraw(self.bucket, self.turn, self.route.exempt_from_global);
            state.pump(now);
            state.wake_first();
        }
    }
}

#[cfg(test)]
mod adversity;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
