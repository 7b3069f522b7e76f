//! How many IDENTIFYs are left today, and how soon the next may come.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The period after which the budget is full again.
const PERIOD: Duration = Duration::from_hours(24);

/// IDENTIFYs at a time; Discord gives every ordinary bot one, so that all its shards queue up.
const MAX_CONCURRENCY: u32 = 1;

/// The session start limit.
#[derive(Debug)]
pub(crate) struct IdentifyBudget {
    total: u32,
    remaining: u32,
    renewed_at: Instant,
    interval: Duration,
    /// The last IDENTIFY.
    last: Option<Instant>,
}

/// What becomes of an IDENTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    /// Sooner than `max_concurrency` allows: the session is invalid, try again.
    TooSoon,
    /// The budget of the day is spent: Discord ends all sessions and resets the token.
    Exhausted,
}

impl IdentifyBudget {
    pub(crate) fn new(total: u32, interval: Duration) -> Self {
        Self {
            total,
            remaining: total,
            renewed_at: Instant::now(),
            interval,
            last: None,
        }
    }

    /// Counts an IDENTIFY.
    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        self.renew(now);
        let soon = self
            .last
            .is_some_and(|last| now.duration_since(last) < self.interval);
        if soon {
            return Admission::TooSoon;
        }
        let Some(remaining) = self.remaining.checked_sub(1) else {
            return Admission::Exhausted;
        };
        self.remaining = remaining;
        self.last = Some(now);
        Admission::Granted
    }

    /// `session_start_limit` of `GET /gateway/bot`.
    pub(crate) fn json(&mut self, now: Instant) -> Value {
        self.renew(now);
        let reset_after = PERIOD.saturating_sub(now.duration_since(self.renewed_at));
        json!({
            "total": self.total,
            "remaining": self.remaining,
            "reset_after": u64::try_from(reset_after.as_millis()).unwrap_or(u64::MAX),
            "max_concurrency": MAX_CONCURRENCY,
        })
    }

    /// Sets what is left of the day.
    pub(crate) fn set_remaining(&mut self, remaining: u32) {
        self.remaining = remaining;
    }

    pub(crate) fn remaining(&self) -> u32 {
        self.remaining
    }

    fn renew(&mut self, now: Instant) {
        if now.duration_since(self.renewed_at) >= PERIOD {
            self.renewed_at = now;
            self.remaining = self.total;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_spent_and_comes_back_after_a_day() {
        let start = Instant::now();
        let mut budget = IdentifyBudget::new(1, Duration::from_secs(5));
        assert_eq!(budget.admit(start), Admission::Granted);
        assert_eq!(budget.admit(start + Duration::from_secs(4)), Admission::TooSoon);
        assert_eq!(budget.admit(start + Duration::from_secs(6)), Admission::Exhausted);
        assert_eq!(
            budget.admit(start + PERIOD + Duration::from_secs(1)),
            Admission::Granted
        );
    }
}
