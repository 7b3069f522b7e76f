//! How patient the bot is with a Discord that is out of order.

use std::time::Duration;

use rolecall_domain::clock::{Rng, random_bytes};

/// The waits. Nobody configures them; tests hurry them to live through a long outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The first wait that is more than none.
    pub(crate) first: Duration,
    /// The longest wait before a call or a RESUME, which cost nothing but the request.
    pub(crate) longest: Duration,
    /// The longest wait before an IDENTIFY: even one that always fails leaves a good part of the day's thousand.
    pub(crate) longest_to_identify: Duration,
    /// A connection that lasted this long was a good one.
    pub(crate) good: Duration,
    /// How long a new connection to the gateway may take with each step towards its session.
    pub(crate) handshake: Duration,
    /// Between two tries of a token that was refused: each counts towards a ban.
    pub(crate) token: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            longest_to_identify: Duration::from_mins(2),
            good: Duration::from_mins(1),
            handshake: Duration::from_secs(20),
            token: Duration::from_mins(5),
        }
    }
}

impl Pace {
    /// The same, so many times faster.
    #[must_use]
    pub fn hurried(self, times: u32) -> Self {
        let times = times.max(1);
        Self {
            first: self.first / times,
            longest: self.longest / times,
            longest_to_identify: self.longest_to_identify / times,
            good: self.good / times,
            handshake: self.handshake / times,
            token: self.token / times,
        }
    }

    /// The wait after so many doublings, at most `longest`; up to a fifth less, so that many bots do not come back
    /// together.
    pub(crate) fn wait(&self, doublings: u32, longest: Duration, rng: &dyn Rng) -> Duration {
        let wait = (self.first * (1 << doublings.min(10))).min(longest);
        wait.mul_f64(1.0 - f64::from(u16::from_be_bytes(random_bytes(rng))) / f64::from(u16::MAX) / 5.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Ones;

    impl Rng for Ones {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(255);
        }
    }

    #[test]
    fn an_hour_without_discord_costs_some_hundred_and_fifty_questions_and_ends_within_half_a_minute() {
        let (pace, mut hour, mut questions) = (Pace::default(), Duration::ZERO, 0);
        while hour < Duration::from_hours(1) {
            // The shortest waits that chance can make of it.
            let wait = pace.wait(questions, pace.longest, &Ones);
            assert!(wait <= Duration::from_secs(30));
            hour += wait;
            questions += 1;
        }
        assert!((120..160).contains(&questions), "{questions}");
    }

    #[test]
    fn in_a_hurry_everything_is_so_many_times_faster() {
        let hurried = Pace::default().hurried(10);
        assert_eq!(hurried.longest, Duration::from_secs(3));
        assert_eq!(hurried.handshake, Duration::from_secs(2));
    }
}
