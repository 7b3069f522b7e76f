//! A clock that moves when the test says so.

use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::clock::Clock;

#[derive(Debug)]
pub(crate) struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new("2026-11-21T12:00:00Z".parse().unwrap()))
    }

    pub(crate) fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}
