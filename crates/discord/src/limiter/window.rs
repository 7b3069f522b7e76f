//! One bucket's fixed window, seen from here: how much is left, and between which instants the server resets it.
//!
//! We never see the server's clock. An answer that was asked for at `granted`, came at `now` and says "resets in d"
//! proves only that the reset lies between `granted + d` and `now + d`. Everything below follows from such spans.

use std::time::Duration;

use tokio::time::Instant;

use crate::limiter::answer::Quota;

/// `Reset-After` has three decimals, so it can be this much off.
const ROUNDING: Duration = Duration::from_millis(1);

/// What is known of a bucket that has a limit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub(crate) limit: u32,
    /// The longest `Reset-After` seen: the window is at least this long.
    pub(crate) length: Duration,
    /// What the server had left, before the requests that are in flight.
    remaining: u32,
    /// When the present window resets; `None` after a reset, until the first answer tells of the new one.
    current: Option<Span>,
    previous: Option<Span>,
    /// Requests of this window whose answer did not come, or did not tell. The server may count them at any time, so
    /// its own figures are not to be trusted without them.
    lost: u32,
    /// The same of the window before: they may arrive late.
    lost_before: u32,
}

/// The instants between which the server resets a window.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    earliest: Instant,
    latest: Instant,
}

impl Span {
    fn new(reset_after: Duration, granted: Instant, now: Instant) -> Self {
        let earliest = granted + reset_after;
        Self {
            earliest: earliest.checked_sub(ROUNDING).unwrap_or(earliest),
            latest: now + reset_after + ROUNDING,
        }
    }

    fn is_after(self, other: Self) -> bool {
        self.earliest > other.latest
    }

    fn width(self) -> Duration {
        self.latest - self.earliest
    }

    /// Whether two overlapping spans must mean the same reset: two resets are a window apart, so with room for
    /// less than one window in both spans together there can be only one.
    fn is_surely(self, other: Self, length: Duration) -> bool {
        !self.is_after(other) && !other.is_after(self) && self.width() + other.width() < length
    }

    /// The span of a window that both speak of; if in doubt the later end, which waits longer.
    fn merge(self, other: Self, length: Duration) -> Self {
        if self.is_surely(other, length) {
            Self {
                earliest: self.earliest.max(other.earliest),
                latest: self.latest.min(other.latest),
            }
        } else {
            Self {
                earliest: self.earliest.min(other.earliest),
                latest: self.latest.max(other.latest),
            }
        }
    }
}

impl Window {
    /// The window that a bucket's first answer tells of.
    pub(crate) fn new(quota: &Quota, granted: Instant, now: Instant) -> Self {
        Self {
            limit: quota.limit,
            length: quota.reset_after,
            remaining: quota.remaining,
            current: Some(Span::new(quota.reset_after, granted, now)),
            previous: None,
            lost: 0,
            lost_before: 0,
        }
    }

    /// A window known from before a restart.
    pub(crate) fn restored(
        limit: u32,
        length: Duration,
        remaining: u32,
        reset_at: Instant,
        now: Instant,
    ) -> Self {
        Self {
            limit,
            length,
            remaining,
            current: Some(Span {
                earliest: now,
                latest: reset_at,
            }),
            previous: None,
            lost: 0,
            lost_before: 0,
        }
    }

    /// What is left if the requests in flight are all counted, and when that changes by time alone.
    pub(crate) fn left(&mut self, in_flight: u32, now: Instant) -> u32 {
        self.roll(now);
        self.remaining.saturating_sub(in_flight)
    }

    /// When the present window is surely over; `None` if its end is not known yet.
    pub(crate) fn resets_at(&self) -> Option<Instant> {
        self.current.map(|span| span.latest)
    }

    /// Takes in an answer to a request that was granted at `granted`.
    pub(crate) fn answered(&mut self, quota: &Quota, granted: Instant, now: Instant) {
        self.roll(now);
        self.limit = quota.limit;
        self.length = self.length.max(quota.reset_after);
        let span = Span::new(quota.reset_after, granted, now);
        match self.current {
            Some(current) if span.is_after(current) => {
                self.end(current, now);
                self.remaining = self.without_lost(quota.remaining);
                self.current = Some(span);
            }
            Some(current) if current.is_after(span) && self.is_older(granted) => {}
            Some(current) => {
                self.remaining = self.remaining.min(self.without_lost(quota.remaining));
                self.current = Some(current.merge(span, self.length));
            }
            None if self.belongs_to_previous(span, granted) => {}
            None => {
                self.remaining = self.remaining.min(self.without_lost(quota.remaining));
                self.current = Some(span);
            }
        }
    }

    /// A request was given up, or its answer says nothing of limits: it may have been counted, or may be yet.
    pub(crate) fn lost(&mut self, granted: Instant, now: Instant) {
        self.roll(now);
        self.lost = self.lost.saturating_add(1);
        self.remaining = self.remaining.saturating_sub(1);
        if self.current.is_none() {
            // Without an end this loss would last for ever.
            self.current = Some(self.made_up(granted, now));
        }
    }

    /// After the reset the full limit is there again.
    fn roll(&mut self, now: Instant) {
        if let Some(span) = self.current.filter(|span| span.latest <= now) {
            self.end(span, now);
            self.remaining = self.without_lost(self.limit);
            // With nothing left there will be no answer to tell the end of this window: it is given one.
            self.current = (self.remaining == 0).then(|| self.made_up(now, now));
        }
    }

    fn end(&mut self, span: Span, now: Instant) {
        self.previous = Some(span);
        // What was lost does not arrive a whole window later.
        self.lost_before = if now < self.made_up(span.latest, span.latest).latest {
            self.lost
        } else {
            0
        };
        self.lost = 0;
    }

    /// A window that no answer tells of. Twice the length seen, because we may have seen but the end of one.
    fn made_up(&self, earliest: Instant, now: Instant) -> Span {
        Span {
            earliest,
            latest: now + 2 * self.length + ROUNDING,
        }
    }

    const fn without_lost(&self, remaining: u32) -> u32 {
        remaining
            .saturating_sub(self.lost)
            .saturating_sub(self.lost_before)
    }

    /// Whether a request may have gone out in the window before.
    fn is_older(&self, granted: Instant) -> bool {
        self.previous.is_some_and(|previous| granted < previous.latest)
    }

    /// Whether an answer that comes after the reset is about the time before it.
    fn belongs_to_previous(&self, span: Span, granted: Instant) -> bool {
        self.previous.is_some_and(|previous| {
            granted < previous.latest && (previous.is_after(span) || previous.is_surely(span, self.length))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(50);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn quota(remaining: u32, reset_after: u64) -> Quota {
        Quota {
            limit: 10,
            remaining,
            reset_after: ms(reset_after),
        }
    }

    /// A window of 2 s with one request spent, learned at the returned instant.
    fn fresh() -> (Window, Instant) {
        let granted = Instant::now();
        (
            Window::new(&quota(9, 2000), granted, granted + RTT),
            granted + RTT,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn requests_in_flight_are_taken_off_what_is_left() {
        let (mut window, now) = fresh();
        assert_eq!(window.left(0, now), 9);
        assert_eq!(window.left(9, now), 0);
        assert_eq!(window.left(12, now), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_back_after_the_reset_and_not_before() {
        let (mut window, now) = fresh();
        window.answered(&quota(0, 1950), now, now + RTT);
        let reset = window.resets_at().unwrap();
        assert_eq!(window.left(0, reset - ms(1)), 0);
        assert_eq!(window.left(0, reset), 10);
        assert_eq!(
            window.left(3, reset),
            7,
            "what is still in flight may count in the new window"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn answers_in_any_order_leave_the_lowest_remainder() {
        let (mut window, now) = fresh();
        window.answered(&quota(3, 1940), now, now + RTT);
        window.answered(&quota(6, 1950), now, now + RTT + ms(20));
        assert_eq!(window.left(0, now + RTT), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_of_the_old_window_does_not_spoil_the_new_one() {
        let (mut window, now) = fresh();
        let reset = window.resets_at().unwrap();
        // Granted 10 ms before the reset, counted before it, received after it.
        window.left(1, reset);
        window.answered(&quota(0, 5), reset - ms(10), reset + ms(20));
        assert_eq!(window.left(0, reset + ms(20)), 10);
        assert!(now < reset);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_slipped_into_the_new_window_opens_it() {
        let (mut window, _) = fresh();
        let reset = window.resets_at().unwrap();
        window.left(1, reset);
        window.answered(&quota(9, 1990), reset - ms(10), reset + ms(20));
        assert_eq!(window.left(0, reset + ms(20)), 9);
        assert!(window.resets_at().unwrap() > reset + ms(1900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_request_is_charged_to_this_window_and_the_next() {
        let (mut window, now) = fresh();
        window.lost(now, now + ms(5));
        assert_eq!(window.left(0, now + ms(5)), 8);
        let reset = window.resets_at().unwrap();
        assert_eq!(window.left(0, reset), 9);
        window.answered(&quota(8, 2000), reset, reset + RTT);
        let reset = window.resets_at().unwrap();
        assert_eq!(window.left(0, reset), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_whose_requests_were_all_lost_comes_back() {
        let (mut window, _) = fresh();
        let reset = window.resets_at().unwrap();
        assert_eq!(window.left(0, reset), 10);
        for _ in 0..10 {
            window.lost(reset, reset + ms(100));
        }
        assert_eq!(window.left(0, reset + ms(100)), 0);
        let again = window.resets_at().unwrap();
        assert_eq!(window.left(0, again), 0, "all ten may still arrive");
        let at_last = window.resets_at().unwrap();
        assert_eq!(window.left(0, at_last), 10);
    }
}
