//! Time that stands until it is moved, the same for the worker and the simulators; and seeded chance.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::clock::{Clock, Rng, truncate_to_micros};
use rolecall_runtime::clock::SystemClock;
use rolecall_sandbox::clock::Clock as SimulatedClock;

/// The time of a test.
#[derive(Debug)]
pub(crate) struct ManualClock(SimulatedClock);

impl ManualClock {
    /// Starts at the real time, to the second as Stripe tells it.
    pub(crate) fn start() -> Self {
        let second = SystemClock.now().timestamp();
        Self(SimulatedClock::fixed(
            DateTime::from_timestamp(second, 0).unwrap(),
        ))
    }

    /// Moves on.
    pub(crate) fn advance(&self, by: TimeDelta) {
        self.0.set_wall(self.now() + by);
    }

    /// The simulators' handle of it.
    pub(crate) fn simulated(&self) -> SimulatedClock {
        self.0.clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        truncate_to_micros(self.0.wall())
    }
}

/// Numbers that look random and are the same in every run.
#[derive(Debug)]
pub(crate) struct SeededRng(AtomicU64);

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // splitmix64
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
