//! When a failed call is tried again, and after how long. Pure: it neither waits nor calls.

use std::time::Duration;

use rolecall_domain::clock::{Rng, random_bytes};

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How many times at most, after the first attempt.
    pub retries: u32,
    /// The wait before the first retry; it doubles with each, less a random part.
    pub first_wait: Duration,
    /// The longest wait. A longer `Retry-After` ends the call: a job queue can wait for it, a
    /// worker should not.
    pub longest_wait: Duration,
    /// No retry begins later than this after the call began.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(5),
            budget: Duration::from_secs(20),
        }
    }
}

/// What a failed attempt tells about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Whether this kind of failure passes by itself.
    pub(crate) passes: bool,
    /// `Retry-After`, or what we made of its absence.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// No answer came: the attempt may or may not have reached Stripe. Safe to repeat, because
    /// every write has an idempotency key.
    pub(crate) const NO_ANSWER: Self = Self {
        passes: true,
        retry_after: None,
    };

    /// A refusal with `status`. `Stripe-Should-Retry` knows better than the status.
    pub(crate) fn refusal(status: u16, should_retry: Option<bool>, retry_after: Option<Duration>) -> Self {
        // 409 is a lock on the object, or a first try with the same idempotency key still running.
        let passes = should_retry.unwrap_or(matches!(status, 409 | 429 | 500..));
        Self { passes, retry_after }
    }

    /// The same where nobody may go before `wait` has passed.
    pub(crate) fn not_before(self, wait: Option<Duration>) -> Self {
        Self {
            retry_after: self.retry_after.max(wait),
            ..self
        }
    }
}

impl RetryPolicy {
    /// The wait before the next attempt, when `attempt` attempts have failed, the first of them
    /// begun `elapsed` ago; `None` to give up.
    pub(crate) fn wait(
        &self,
        attempt: u32,
        elapsed: Duration,
        failure: Failure,
        rng: &dyn Rng,
    ) -> Option<Duration> {
        let asked = failure.retry_after.unwrap_or_default();
        if !failure.passes || attempt > self.retries || asked > self.longest_wait {
            return None;
        }
        let wait = self.backoff(attempt, rng).max(asked);
        (elapsed.saturating_add(wait) <= self.budget).then_some(wait)
    }

    /// Doubles with every attempt, less a random part.
    fn backoff(&self, attempt: u32, rng: &dyn Rng) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let whole = self.first_wait.saturating_mul(factor).min(self.longest_wait);
        less_a_random_part(whole, rng)
    }
}

/// Between a half and the whole of a wait, so that clients which failed together do not come back together.
pub(crate) fn less_a_random_part(whole: Duration, rng: &dyn Rng) -> Duration {
    let half = whole / 2;
    half + half.mul_f64(f64::from(u32::from_be_bytes(random_bytes(rng))) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn waits_double_and_then_end() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> = (1..=4)
            .map(|n| policy.wait(n, SOON, Failure::NO_ANSWER, &Fixed(255)))
            .collect();
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(waits, [millis(250), millis(500), millis(1_000), None]);
        assert_eq!(policy.wait(1, SOON, Failure::NO_ANSWER, &Fixed(0)), millis(125));
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for (status, should_retry, passes) in [
            (400, None, false),
            (401, None, false),
            (404, None, false),
            (409, None, true),
            (429, None, true),
            (500, None, true),
            (503, None, true),
            (500, Some(false), false),
            (400, Some(true), true),
        ] {
            assert_eq!(
                Failure::refusal(status, should_retry, None).passes,
                passes,
                "{status} {should_retry:?}"
            );
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_longest_wait() {
        let policy = RetryPolicy::default();
        let wait = |seconds| {
            let failure = Failure::refusal(429, None, Some(Duration::from_secs(seconds)));
            policy.wait(1, SOON, failure, &Fixed(255))
        };
        assert_eq!(wait(0), Some(Duration::from_millis(250)));
        assert_eq!(wait(5), Some(Duration::from_secs(5)));
        assert_eq!(wait(6), None);
    }

    #[test]
    fn a_call_that_took_its_budget_is_not_tried_again() {
        let policy = RetryPolicy::default();
        let wait = |elapsed| policy.wait(1, Duration::from_millis(elapsed), Failure::NO_ANSWER, &Fixed(255));
        assert!(wait(19_750).is_some());
        assert!(wait(19_751).is_none());
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_the_longest(attempt in 0..u32::MAX, byte in any::<u8>(), asked in proptest::option::of(0..100_000_u64)) {
            let policy = RetryPolicy { retries: u32::MAX, ..RetryPolicy::default() };
            let failure = Failure { passes: true, retry_after: asked.map(Duration::from_millis) };
            if let Some(wait) = policy.wait(attempt, SOON, failure, &Fixed(byte)) {
                prop_assert!(wait <= policy.longest_wait);
                prop_assert!(wait >= failure.retry_after.unwrap_or_default());
            }
        }
    }
}
