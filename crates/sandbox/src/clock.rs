//! The simulators' time: the machine's own or a fixed moment, and a lead over it that a story can add.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that can be moved forward; clones share their state.
#[derive(Clone, Debug)]
pub struct Clock {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Milliseconds since the epoch when the wall stands still, `None` for the machine's clock.
    fixed_ms: Option<AtomicI64>,
    /// How far the story is ahead of the wall.
    lead_ms: AtomicI64,
}

impl Clock {
    /// Follows the machine's clock.
    pub fn system() -> Self {
        Self::new(None)
    }

    /// Stands at `at` until it is moved.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self::new(Some(AtomicI64::new(at.timestamp_millis())))
    }

    fn new(fixed_ms: Option<AtomicI64>) -> Self {
        Self {
            state: Arc::new(State {
                fixed_ms,
                lead_ms: AtomicI64::new(0),
            }),
        }
    }

    /// The time outside the story: signatures and deliveries carry it, because the receiver lives in it.
    pub fn wall(&self) -> DateTime<Utc> {
        match &self.state.fixed_ms {
            Some(fixed) => at_millis(fixed.load(Ordering::SeqCst)),
            None => machine_time(),
        }
    }

    /// The time inside the story: periods, trials and retries follow it.
    pub fn now(&self) -> DateTime<Utc> {
        self.wall() + TimeDelta::milliseconds(self.state.lead_ms.load(Ordering::SeqCst))
    }

    /// Moves the story so that `now` is `to`; it never goes back.
    pub fn move_to(&self, to: DateTime<Utc>) {
        let lead = (to - self.wall()).num_milliseconds();
        self.state.lead_ms.fetch_max(lead, Ordering::SeqCst);
    }

    /// Moves a fixed wall to `at`; the machine's clock cannot be set, and then nothing happens.
    pub fn set_wall(&self, at: DateTime<Utc>) {
        if let Some(fixed) = &self.state.fixed_ms {
            fixed.store(at.timestamp_millis(), Ordering::SeqCst);
        }
    }

    /// Whether time passes by itself.
    pub fn runs(&self) -> bool {
        self.state.fixed_ms.is_none()
    }
}

fn at_millis(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the sandbox reads the machine's clock"
)]
fn machine_time() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_moves_ahead_of_the_wall_and_never_back() {
        let start = at_millis(1_800_000_000_000);
        let clock = Clock::fixed(start);
        clock.move_to(start + TimeDelta::days(3));
        clock.move_to(start + TimeDelta::days(1));
        assert_eq!(clock.wall(), start);
        assert_eq!(clock.now(), start + TimeDelta::days(3));
    }
}
