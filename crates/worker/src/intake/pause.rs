//! While Stripe or Postgres is away nothing is tried but, after waits that grow, one event as a scout: an
//! outage costs no event its attempts. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// So many failures in a row that another event might have had as well are an outage.
const FAILURES: u32 = 3;
/// The first wait; it doubles with each scout that does not come back well.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, unless Stripe asks for a longer one.
const LONGEST: Duration = Duration::from_secs(30);

/// Whether, and until when, nothing is tried.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// In a row.
    failures: u32,
    /// How often in a row nothing was tried for a while.
    waits: u32,
    until: Option<Instant>,
}

impl Pause {
    /// Whether something may be tried now, while `running` others are being tried.
    pub(super) fn lets_through(&self, now: Instant, running: usize) -> bool {
        match self.until {
            None => true,
            Some(until) => now >= until && running == 0,
        }
    }

    /// When something may be tried again.
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Something was tried, and whoever was away has answered.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// A failure that another event might have had as well. `sure` that it would; or that it would until
    /// after `wait`. Returns whether a pause begins by it.
    pub(super) fn failed(&mut self, now: Instant, sure: bool, wait: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        if self.until.is_some_and(|until| now < until) {
            // They were tried before the pause began, and say what is known already.
            self.until = self.until.max(wait.map(|wait| now + wait));
            return false;
        }
        if !sure && wait.is_none() && self.failures < FAILURES {
            return false;
        }
        let doubled = FIRST
            .saturating_mul(2_u32.saturating_pow(self.waits))
            .min(LONGEST);
        self.waits = self.waits.saturating_add(1);
        self.until = Some(now + wait.unwrap_or_default().max(doubled));
        self.waits == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_failure_alone_stops_nobody_and_three_in_a_row_stop_all() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        for _ in 0..5 {
            assert!(!pause.failed(now, false, None));
            assert!(!pause.failed(now, false, None));
            assert!(pause.lets_through(now, 9));
            pause.over();
        }
        pause.failed(now, false, None);
        pause.failed(now, false, None);
        assert!(pause.failed(now, false, None), "the pause begins");
        assert!(!pause.lets_through(now, 0));
    }

    #[test]
    fn waits_double_with_each_scout_up_to_half_a_minute() {
        let (mut pause, mut now) = (Pause::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            pause.failed(now, true, None);
            let until = pause.until().unwrap();
            waits.push((until - now).as_secs());
            now = until;
            assert!(
                pause.lets_through(now, 0) && !pause.lets_through(now, 1),
                "one scout"
            );
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        pause.over();
        assert!(pause.lets_through(now, 9));
    }

    #[test]
    fn failures_of_what_ran_already_when_the_pause_began_do_not_make_it_longer() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        for _ in 0..16 {
            pause.failed(now, true, None);
        }
        assert_eq!(pause.until(), Some(now + SECOND));
    }

    #[test]
    fn stripe_says_how_long() {
        let (mut pause, now) = (Pause::default(), Instant::now());
        pause.failed(now, false, Some(SECOND * 90));
        assert_eq!(pause.until(), Some(now + SECOND * 90));
        pause.failed(now, false, Some(SECOND * 120));
        assert_eq!(pause.until(), Some(now + SECOND * 120));
    }
}
