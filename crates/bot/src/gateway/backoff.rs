//! How long to wait before the next connection: the more of them end young, the longer.

use std::time::Duration;

use rolecall_domain::clock::{Rng, random_bytes};

/// A connection that lasted this long was a good one.
const GOOD: Duration = Duration::from_mins(1);

/// The longest wait before a RESUME, which costs nothing.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest wait before an IDENTIFY: even one that always fails leaves most of the day's thousand.
const LONGEST_TO_IDENTIFY: Duration = Duration::from_mins(2);

/// Connections that ended young, in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection has ended after `lasted`. The wait before the next.
    pub(crate) fn after(&mut self, lasted: Duration, resumes: bool, rng: &dyn Rng) -> Duration {
        if lasted >= GOOD {
            self.failures = 0;
        }
        let doublings = self.failures;
        self.failures = self.failures.saturating_add(1);
        // The first one may be an ordinary reconnect, which Discord asks for every few hours.
        let Some(doublings) = doublings.checked_sub(1) else {
            return Duration::ZERO;
        };
        let longest = if resumes { LONGEST } else { LONGEST_TO_IDENTIFY };
        let wait = Duration::from_secs(1 << doublings.min(10)).min(longest);
        // Up to a fifth less, so that many bots do not come back together.
        wait.mul_f64(1.0 - f64::from(u16::from_be_bytes(random_bytes(rng))) / f64::from(u16::MAX) / 5.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Zeros;

    impl Rng for Zeros {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0);
        }
    }

    fn waits(resumes: bool) -> Vec<u64> {
        let mut backoff = Backoff::default();
        (0..9)
            .map(|_| backoff.after(Duration::ZERO, resumes, &Zeros).as_secs())
            .collect()
    }

    #[test]
    fn connections_that_end_young_make_the_next_one_wait_longer() {
        assert_eq!(waits(true), [0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(waits(false), [0, 1, 2, 4, 8, 16, 32, 64, 120]);
    }

    #[test]
    fn a_connection_that_lasted_forgives_those_before() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(Duration::ZERO, true, &Zeros);
        }
        assert_eq!(backoff.after(GOOD, true, &Zeros), Duration::ZERO);
    }
}
