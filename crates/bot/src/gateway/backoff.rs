//! How long to wait before the next connection: the more of them end young, the longer.

use std::time::Duration;

use rolecall_domain::clock::Rng;

use crate::pace::Pace;

/// Connections that ended young, in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

/// What the wait for the next connection depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    pub(super) lasted: Duration,
    /// Discord has acknowledged a heartbeat on it: a dead one can look alive for long.
    pub(super) proven: bool,
    /// The next one resumes the session.
    pub(super) resumes: bool,
}

impl Backoff {
    /// A connection has ended. The wait before the next.
    pub(super) fn after(&mut self, past: Past, pace: &Pace, rng: &dyn Rng) -> Duration {
        if past.proven && past.lasted >= pace.good {
            self.failures = 0;
        }
        let doublings = self.failures;
        self.failures = self.failures.saturating_add(1);
        // The first one may be an ordinary reconnect, which Discord asks for every few hours.
        let Some(doublings) = doublings.checked_sub(1) else {
            return Duration::ZERO;
        };
        let longest = if past.resumes {
            pace.longest
        } else {
            pace.longest_to_identify
        };
        pace.wait(doublings, longest, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Bytes(u8);

    impl Rng for Bytes {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    const YOUNG: Past = Past {
        lasted: Duration::ZERO,
        proven: true,
        resumes: true,
    };

    fn waits(resumes: bool) -> Vec<u64> {
        let mut backoff = Backoff::default();
        let past = Past { resumes, ..YOUNG };
        (0..9)
            .map(|_| backoff.after(past, &Pace::default(), &Bytes(0)).as_secs())
            .collect()
    }

    #[test]
    fn connections_that_end_young_make_the_next_one_wait_longer() {
        assert_eq!(waits(true), [0, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(waits(false), [0, 1, 2, 4, 8, 16, 32, 64, 120]);
    }

    #[test]
    fn a_connection_that_lasted_forgives_those_before_but_a_dead_one_does_not() {
        let pace = Pace::default();
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after(YOUNG, &pace, &Bytes(0));
        }
        let old = Past {
            lasted: pace.good,
            ..YOUNG
        };
        let dead = Past { proven: false, ..old };
        assert_eq!(backoff.after(dead, &pace, &Bytes(0)), Duration::from_secs(16));
        assert_eq!(backoff.after(old, &pace, &Bytes(0)), Duration::ZERO);
    }

    #[test]
    fn even_if_every_identify_fails_at_once_a_day_does_not_spend_the_thousand() {
        let (pace, mut backoff) = (Pace::default(), Backoff::default());
        let past = Past {
            proven: false,
            resumes: false,
            ..YOUNG
        };
        let (mut day, mut identifies) = (Duration::ZERO, 0);
        while day < Duration::from_hours(24) {
            identifies += 1;
            // The shortest waits that chance can make of it.
            day += backoff.after(past, &pace, &Bytes(255));
        }
        assert!(identifies < 920, "{identifies} IDENTIFYs a day");
    }
}
