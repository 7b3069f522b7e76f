//! Time and randomness as arguments: the traits that the services implement once.

use std::fmt;

use chrono::{DateTime, Timelike, Utc};

/// The current time, to the microsecond.
///
/// Microseconds are what Postgres keeps: a finer value would not equal itself after a round trip.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now, truncated to whole microseconds.
    fn now(&self) -> DateTime<Utc>;
}

/// Random bytes that an attacker cannot guess.
pub trait Rng: fmt::Debug + Send + Sync {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// `time` cut to whole microseconds, the grain of a `timestamptz`.
pub fn truncate_to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    time.with_nanosecond(time.nanosecond() / 1_000 * 1_000)
        .unwrap_or(time)
}

/// `N` random bytes.
pub fn random_bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}
