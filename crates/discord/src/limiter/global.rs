//! The limit over all buckets: 50 requests a second, and the stops that Discord or its edge orders.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::limiter::{answer::LimitScope, bucket::Readiness};

/// Discord counts the global limit by the second.
const SECOND: Duration = Duration::from_secs(1);

/// Requests of the last second, and stops.
#[derive(Debug)]
pub(crate) struct Global {
    per_second: usize,
    in_flight: usize,
    /// When each answered request stops to count. A place is free again one second after the *answer*: Discord
    /// counted it earlier than that, so that no second of Discord's clock can see more than the limit, however
    /// unevenly the requests travel.
    recent: VecDeque<Instant>,
    limited_until: Option<Instant>,
    edge_until: Option<Instant>,
    /// One request at a time after a stop, until an answer shows that it is over: a stop may be longer than was said.
    probing: bool,
}

impl Global {
    pub(crate) fn new(per_second: usize) -> Self {
        Self {
            per_second: per_second.max(1),
            in_flight: 0,
            recent: VecDeque::new(),
            limited_until: None,
            edge_until: None,
            probing: false,
        }
    }

    /// Whether one more request may go now. Exempt ones wait for the edge's stops only.
    pub(crate) fn readiness(&mut self, exempt: bool, now: Instant) -> Readiness {
        let held = if exempt {
            self.edge_until
        } else {
            self.held_until()
        };
        if let Some(until) = held.filter(|until| *until > now) {
            return Readiness::At(until);
        }
        if self.probing && !exempt && self.in_flight > 0 {
            return Readiness::OnAnswer;
        }
        while self.recent.front().is_some_and(|expiry| *expiry <= now) {
            self.recent.pop_front();
        }
        if exempt || self.in_flight + self.recent.len() < self.per_second {
            return Readiness::Ready;
        }
        self.recent
            .front()
            .map_or(Readiness::OnAnswer, |expiry| Readiness::At(*expiry))
    }

    pub(crate) fn sent(&mut self) {
        self.in_flight += 1;
    }

    pub(crate) fn answered(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.count_until(now + SECOND);
    }

    /// A request was given up: it may arrive a little later, and count then.
    pub(crate) fn lost(&mut self, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.count_until(now + 2 * SECOND);
    }

    fn count_until(&mut self, expiry: Instant) {
        let place = self.recent.partition_point(|other| *other <= expiry);
        self.recent.insert(place, expiry);
    }

    /// A permit was given back before its request was sent.
    pub(crate) fn withdrawn(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A request that was granted then got an answer that orders no stop.
    pub(crate) fn passed(&mut self, granted: Instant) {
        if self.held_until().is_none_or(|until| until <= granted) {
            self.probing = false;
        }
    }

    pub(crate) fn hold(&mut self, scope: LimitScope, until: Instant) {
        self.probing |= scope.is_global();
        match scope {
            LimitScope::Global => self.limited_until = self.limited_until.max(Some(until)),
            LimitScope::Edge => self.edge_until = self.edge_until.max(Some(until)),
            LimitScope::User | LimitScope::Shared => {}
        }
    }

    /// The end of the stop that Discord ordered, and of the one that its edge ordered.
    pub(crate) const fn holds(&self) -> (Option<Instant>, Option<Instant>) {
        (self.limited_until, self.edge_until)
    }

    /// Until when every ordinary request is stopped.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.limited_until.max(self.edge_until)
    }

    /// Whether a request of the last second would be forgotten by a restart.
    pub(crate) fn is_busy(&self, now: Instant) -> bool {
        self.in_flight > 0 || self.recent.back().is_some_and(|expiry| *expiry > now)
    }

    pub(crate) const fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_one_second_after_the_answer() {
        let now = Instant::now();
        let mut global = Global::new(2);
        global.sent();
        global.sent();
        assert_eq!(global.readiness(false, now), Readiness::OnAnswer);
        let answered = now + Duration::from_millis(300);
        global.answered(answered);
        assert_eq!(
            global.readiness(false, answered),
            Readiness::At(answered + SECOND)
        );
        assert_eq!(global.readiness(false, answered + SECOND), Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stop_one_request_goes_first() {
        let now = Instant::now();
        let mut global = Global::new(50);
        global.hold(LimitScope::Edge, now + SECOND);
        let over = now + SECOND;
        assert_eq!(global.readiness(false, over), Readiness::Ready);
        global.sent();
        assert_eq!(global.readiness(false, over), Readiness::OnAnswer);
        assert_eq!(
            global.readiness(true, over),
            Readiness::Ready,
            "somebody waits for an interaction's answer"
        );
        // An answer to what went out before the stop proves nothing.
        global.passed(now);
        assert_eq!(global.readiness(false, over), Readiness::OnAnswer);
        global.passed(over);
        assert_eq!(global.readiness(false, over), Readiness::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn interaction_answers_pass_the_global_limit_but_not_the_edge() {
        let now = Instant::now();
        let mut global = Global::new(1);
        global.sent();
        global.hold(LimitScope::Global, now + SECOND);
        assert_eq!(global.readiness(true, now), Readiness::Ready);
        global.hold(LimitScope::Edge, now + SECOND);
        assert_eq!(global.readiness(true, now), Readiness::At(now + SECOND));
    }
}
