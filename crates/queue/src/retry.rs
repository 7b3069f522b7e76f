//! How long to wait before the next attempt: the schedule is data, the jitter a pure function.

use std::time::Duration;

use rolecall_domain::clock::{Rng, random_bytes};

/// The waits between attempts; the last one repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

/// A schedule without a single wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a retry schedule needs at least one wait")]
pub struct EmptySchedule;

impl RetrySchedule {
    /// A schedule of these waits.
    pub fn new(waits: Vec<Duration>) -> Result<Self, EmptySchedule> {
        if waits.is_empty() {
            Err(EmptySchedule)
        } else {
            Ok(Self(waits))
        }
    }

    /// The wait after the failed attempt with this number (from 1): the scheduled one and up to a
    /// fifth more, so that jobs that failed together do not come back together.
    pub fn wait(&self, attempt: u32, rng: &dyn Rng) -> Duration {
        let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let wait = self.0.get(index).or(self.0.last()).copied().unwrap_or_default();
        with_jitter(wait, rng)
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        let seconds = [2, 15].map(Duration::from_secs);
        let minutes = [1, 5, 30].map(Duration::from_mins);
        let hours = [2, 6, 12].map(Duration::from_hours);
        Self([&seconds[..], &minutes, &hours].concat())
    }
}

/// `wait` and up to a fifth of it more.
pub(crate) fn with_jitter(wait: Duration, rng: &dyn Rng) -> Duration {
    let chance = u128::from(u64::from_le_bytes(random_bytes(rng)));
    let most = u64::try_from(wait.as_micros() / 5).unwrap_or(u64::MAX);
    let extra = (u128::from(most) * chance) >> 64;
    wait.saturating_add(Duration::from_micros(u64::try_from(extra).unwrap_or(most)))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[derive(Debug)]
    struct Constant(u64);

    impl Rng for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&self.0.to_le_bytes()[..buffer.len()]);
        }
    }

    fn schedule(millis: &[u64]) -> RetrySchedule {
        RetrySchedule::new(millis.iter().copied().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn waits_follow_the_schedule_and_the_last_one_repeats() {
        let schedule = schedule(&[2, 15, 60]);
        let waits = [1, 2, 3, 4, 100].map(|attempt| schedule.wait(attempt, &Constant(0)).as_millis());
        assert_eq!(waits, [2, 15, 60, 60, 60]);
    }

    #[test]
    fn an_empty_schedule_is_refused() {
        assert_eq!(RetrySchedule::new(Vec::new()), Err(EmptySchedule));
    }

    #[test]
    fn chance_decides_how_much_is_added() {
        let wait = Duration::from_secs(10);
        assert_eq!(with_jitter(wait, &Constant(1 << 63)), Duration::from_secs(11));
    }

    proptest! {
        #[test]
        fn jitter_adds_at_most_a_fifth(millis in proptest::collection::vec(0_u64..100_000_000, 1..9), attempt: u32, chance: u64) {
            let schedule = schedule(&millis);
            let plain = schedule.wait(attempt, &Constant(0));
            let jittered = schedule.wait(attempt, &Constant(chance));
            prop_assert!(jittered >= plain);
            prop_assert!(jittered <= plain + plain / 5);
        }

        #[test]
        fn no_wait_is_too_long_for_jitter(seconds: u64, chance: u64) {
            let wait = Duration::from_secs(seconds);
            prop_assert!(with_jitter(wait, &Constant(chance)) >= wait);
        }
    }
}
