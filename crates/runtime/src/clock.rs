//! The real clock and the real source of randomness; the only places that ask the system for them.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use rolecall_domain::clock::{Clock, Rng, truncate_to_micros};

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        truncate_to_micros(SystemTime::now().into())
    }
}

/// Random numbers that nobody can guess: a generator for each thread, seeded by the operating system and again after
/// every 64 KiB. Asking the system, or the generator that TLS uses, for each id costs more than all else about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        rand::fill(buffer);
    }
}

#[cfg(test)]
mod tests {
    use rolecall_domain::clock::random_bytes;

    use super::*;

    #[test]
    fn time_has_no_more_than_microseconds() {
        let now = SystemClock.now();
        assert_eq!(now.timestamp_subsec_nanos() % 1_000, 0);
        assert!(now.timestamp() > 1_700_000_000, "{now}");
    }

    #[test]
    fn random_bytes_do_not_repeat() {
        let (first, second) = (random_bytes::<32>(&SystemRng), random_bytes::<32>(&SystemRng));
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}
