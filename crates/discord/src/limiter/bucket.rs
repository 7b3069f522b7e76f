//! One bucket: what is known of its limit, the requests in flight, and who waits for it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use crate::limiter::{Lane, answer::Answer, window::Window};

/// A place in the queue: the lane first, then the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn {
    pub(crate) lane: Lane,
    pub(crate) number: u64,
}

/// Someone who waits for a permit.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) wake: Arc<Notify>,
    pub(crate) exempt_from_global: bool,
}

/// Requests that Discord counts together.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) knowledge: Knowledge,
    pub(crate) in_flight: u32,
    /// One request at a time until an answer confirms what we believe: after a restart and after a 429.
    pub(crate) probing: bool,
    pub(crate) held_until: Option<Instant>,
    pub(crate) waiters: BTreeMap<Turn, Waiter>,
}

/// What the answers have told so far.
#[derive(Debug, Default)]
pub(crate) enum Knowledge {
    /// No answer yet.
    #[default]
    Unknown,
    /// A good answer without limit headers: only the global limit applies.
    Unlimited,
    /// A limit in a fixed window.
    Limited(Window),
}

/// Whether a request may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Not before this instant.
    At(Instant),
    /// Not before a request in flight has been answered.
    OnAnswer,
}

impl Bucket {
    /// Whether one more request may go now.
    pub(crate) fn readiness(&mut self, now: Instant) -> Readiness {
        if let Some(until) = self.held_until.filter(|until| *until > now) {
            return Readiness::At(until);
        }
        let probing = self.probing || matches!(self.knowledge, Knowledge::Unknown);
        if let Knowledge::Limited(window) = &mut self.knowledge
            && window.left(self.in_flight, now) == 0
        {
            return window.resets_at().map_or(Readiness::OnAnswer, Readiness::At);
        }
        if probing && self.in_flight > 0 {
            Readiness::OnAnswer
        } else {
            Readiness::Ready
        }
    }

    /// Takes in the answer to a request that was granted at `granted`.
    pub(crate) fn answered(&mut self, answer: &Answer, granted: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match (&mut self.knowledge, &answer.quota) {
            (Knowledge::Limited(window), Some(quota)) => window.answered(quota, granted, now),
            (Knowledge::Limited(window), None) => window.lost(granted, now),
            (_, Some(quota)) => self.knowledge = Knowledge::Limited(Window::new(quota, granted, now)),
            (_, None) if answer.is_success() => self.knowledge = Knowledge::Unlimited,
            (_, None) => {}
        }
        if let Some(limited) = answer.limited.filter(|limited| !limited.scope.is_global()) {
            let until = now + limited.retry_after + Duration::from_millis(1);
            self.held_until = self.held_until.max(Some(until));
            self.probing = true;
        } else if answer.quota.is_some() {
            self.probing = false;
        }
    }

    /// A permit was dropped although its request may have been sent.
    pub(crate) fn abandoned(&mut self, granted: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Knowledge::Limited(window) = &mut self.knowledge {
            window.lost(granted, now);
        }
    }

    /// Whether nothing would be lost by forgetting the bucket, apart from the knowledge of its limit.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let over = |until: Option<Instant>| until.is_none_or(|until| until <= now);
        let window_over = match &self.knowledge {
            Knowledge::Limited(window) => over(window.resets_at()),
            Knowledge::Unknown | Knowledge::Unlimited => true,
        };
        self.in_flight == 0 && self.waiters.is_empty() && over(self.held_until) && window_over
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, pairs: &[(&'static str, &'static str)]) -> Answer {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Answer::new(status, &headers, b"")
    }

    const QUOTA: &[(&str, &str)] = &[
        ("x-ratelimit-limit", "5"),
        ("x-ratelimit-remaining", "4"),
        ("x-ratelimit-reset-after", "1.000"),
    ];

    #[tokio::test(start_paused = true)]
    async fn an_unknown_bucket_lets_one_request_through() {
        let now = Instant::now();
        let mut bucket = Bucket::default();
        assert_eq!(bucket.readiness(now), Readiness::Ready);
        bucket.in_flight = 1;
        assert_eq!(bucket.readiness(now), Readiness::OnAnswer);
        bucket.answered(&answer(204, QUOTA), now, now);
        bucket.in_flight = 3;
        assert_eq!(bucket.readiness(now), Readiness::Ready);
        bucket.in_flight = 4;
        assert!(matches!(bucket.readiness(now), Readiness::At(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_answer_without_headers_means_no_limit_and_a_bad_one_means_nothing() {
        let now = Instant::now();
        let mut bucket = Bucket {
            in_flight: 1,
            ..Bucket::default()
        };
        bucket.answered(&answer(502, &[]), now, now);
        bucket.in_flight = 1;
        assert_eq!(
            bucket.readiness(now),
            Readiness::OnAnswer,
            "a 502 taught something"
        );
        bucket.answered(&answer(200, &[]), now, now);
        bucket.in_flight = 30;
        assert_eq!(bucket.readiness(now), Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_429_the_bucket_is_held_and_then_probed() {
        let now = Instant::now();
        let mut bucket = Bucket {
            in_flight: 1,
            ..Bucket::default()
        };
        bucket.answered(
            &answer(429, &[("x-ratelimit-scope", "shared"), ("retry-after", "3")]),
            now,
            now,
        );
        let Readiness::At(until) = bucket.readiness(now) else {
            panic!("not held")
        };
        assert!(until >= now + Duration::from_secs(3));
        assert_eq!(bucket.readiness(until), Readiness::Ready);
        bucket.in_flight = 1;
        assert_eq!(bucket.readiness(until), Readiness::OnAnswer);
        bucket.answered(&answer(204, QUOTA), until, until);
        bucket.in_flight = 3;
        assert_eq!(bucket.readiness(until), Readiness::Ready);
    }
}
