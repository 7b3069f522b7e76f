//! Waits between tries while Redis is in trouble.

use std::{sync::Arc, time::Duration};

use rolecall_domain::clock::{Rng, random_bytes};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Grows from 50 ms to 2 s, less a random part: what failed together, in all processes, does not
/// come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    rng: Arc<dyn Rng>,
}

impl Backoff {
    /// Starts with the shortest wait.
    pub(crate) fn new(rng: &Arc<dyn Rng>) -> Self {
        Self {
            next: FIRST,
            rng: Arc::clone(rng),
        }
    }

    /// The wait before the next try: between a half and the whole of a wait that doubles.
    pub(crate) fn next(&mut self) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST);
        let chance = f64::from(u32::from_be_bytes(random_bytes(&*self.rng))) / f64::from(u32::MAX);
        half + half.mul_f64(chance)
    }

    /// A try succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Constant(u8);

    impl Rng for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    fn waits(chance: u8) -> (Vec<u128>, Backoff) {
        let rng: Arc<dyn Rng> = Arc::new(Constant(chance));
        let mut backoff = Backoff::new(&rng);
        let waits = (0..8).map(|_| backoff.next().as_millis()).collect();
        (waits, backoff)
    }

    #[test]
    fn waits_double_up_to_two_seconds_and_start_anew_after_a_success() {
        let (longest, mut backoff) = waits(255);
        assert_eq!(longest, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }

    #[test]
    fn chance_takes_up_to_a_half_of_each_wait_away() {
        assert_eq!(waits(0).0, [25, 50, 100, 200, 400, 800, 1000, 1000]);
    }
}
