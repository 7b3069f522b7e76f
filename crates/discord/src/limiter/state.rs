//! The limiter's memory and its one decision: who goes next. No waiting happens here, so all of it is under one lock.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::{sync::Notify, time::Instant};

use crate::limiter::{
    Lane, Limits, Stats,
    answer::Answer,
    bucket::{Bucket, Knowledge, Readiness, Turn, Waiter},
    budget::{BudgetSpent, InvalidBudget},
    global::Global,
    route::{Route, RouteKey},
};

/// Idle buckets are forgotten when there are more than this; each interaction has one of its own.
const GC_THRESHOLD: usize = 512;

/// The number of a bucket. Numbers are never reused.
pub(crate) type BucketId = u64;

/// What a bucket is found by: Discord's name for it once known, the route until then; each with the major parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum BucketKey {
    Route(RouteKey, String),
    Named(String, String),
}

/// Leave to send one request.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) route: Route,
    bucket: BucketId,
    granted: Instant,
}

/// A grant that its waiter has not taken yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Granted {
    bucket: BucketId,
    granted: Instant,
}

impl Granted {
    pub(crate) fn into_grant(self, route: Route) -> Grant {
        Grant {
            route,
            bucket: self.bucket,
            granted: self.granted,
        }
    }
}

/// What became of a waiter.
pub(crate) type Outcome = Result<Granted, BudgetSpent>;

/// Everything the limiter knows.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) buckets: BTreeMap<BucketId, Bucket>,
    pub(crate) keys: HashMap<BucketKey, BucketId>,
    /// Discord's name for the bucket of each route.
    pub(crate) names: HashMap<RouteKey, String>,
    pub(crate) global: Global,
    pub(crate) budget: InvalidBudget,
    /// Buckets that turned out to be another one, which took over their waiters and their requests in flight.
    merged: HashMap<BucketId, BucketId>,
    outcomes: HashMap<Turn, Outcome>,
    next_bucket: BucketId,
    next_turn: u64,
    gc_at: usize,
    rate_limited: u64,
}

impl State {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            buckets: BTreeMap::new(),
            keys: HashMap::new(),
            names: HashMap::new(),
            global: Global::new(limits.requests_per_second),
            budget: InvalidBudget::new(limits.invalid_requests),
            merged: HashMap::new(),
            outcomes: HashMap::new(),
            next_bucket: 0,
            next_turn: 0,
            gc_at: GC_THRESHOLD,
            rate_limited: 0,
        }
    }

    /// Queues up for `route`; the bucket and the turn name the place.
    pub(crate) fn enqueue(
        &mut self,
        route: &Route,
        lane: Lane,
        wake: Arc<Notify>,
        now: Instant,
    ) -> (BucketId, Turn) {
        let id = self.bucket_of(route, now);
        let turn = Turn {
            lane,
            number: self.next_turn,
        };
        self.next_turn += 1;
        let waiter = Waiter {
            wake,
            exempt_from_global: route.exempt_from_global,
        };
        self.buckets.entry(id).or_default().waiters.insert(turn, waiter);
        (id, turn)
    }

    /// The outcome of a turn, if it has come.
    pub(crate) fn take_outcome(&mut self, turn: Turn) -> Option<Outcome> {
        self.outcomes.remove(&turn)
    }

    /// When the waiter should look again by itself; `None` if it will be woken.
    ///
    /// Only the first of each bucket watches the clock. When it goes, the next one is woken to take that over.
    pub(crate) fn look_again_at(&mut self, bucket: BucketId, turn: Turn, now: Instant) -> Option<Instant> {
        let id = self.resolve(bucket);
        let bucket = self.buckets.get_mut(&id)?;
        let (first, waiter) = bucket.waiters.first_key_value()?;
        if *first != turn {
            return None;
        }
        let exempt = waiter.exempt_from_global;
        let global = self.global.readiness(exempt, now);
        match (bucket.readiness(now), global) {
            (Readiness::OnAnswer, _) | (_, Readiness::OnAnswer) | (Readiness::Ready, Readiness::Ready) => {
                None
            }
            (Readiness::At(at), Readiness::Ready) | (Readiness::Ready, Readiness::At(at)) => Some(at),
            (Readiness::At(one), Readiness::At(other)) => Some(one.max(other)),
        }
    }

    /// Lets everyone go who may go, the `Now` lane first, and wakes whoever is first afterwards.
    pub(crate) fn pump(&mut self, now: Instant) {
        self.refuse_over_budget(now);
        while let Some((id, turn)) = self.next_to_go(now) {
            if let Some(bucket) = self.buckets.get_mut(&id)
                && let Some(waiter) = bucket.waiters.remove(&turn)
            {
                bucket.in_flight += 1;
                if !waiter.exempt_from_global {
                    self.global.sent();
                }
                self.outcomes.insert(
                    turn,
                    Ok(Granted {
                        bucket: id,
                        granted: now,
                    }),
                );
                waiter.wake.notify_one();
            }
        }
    }

    /// Wakes the first waiter of each bucket, because what it waits for may have changed.
    pub(crate) fn wake_first(&self) {
        for bucket in self.buckets.values() {
            if let Some((_, waiter)) = bucket.waiters.first_key_value() {
                waiter.wake.notify_one();
            }
        }
    }

    /// Takes in the answer to a granted request.
    pub(crate) fn answered(&mut self, grant: &Grant, answer: &Answer, now: Instant) {
        if !grant.route.exempt_from_global {
            self.global.answered(now);
        }
        if answer.is_invalid_request() {
            self.budget.count(now);
        }
        if let Some(limited) = answer.limited {
            self.rate_limited += 1;
            self.global.hold(limited.scope, now + limited.retry_after);
        }
        if answer.limited.is_none_or(|limited| !limited.scope.is_global()) {
            self.global.passed(grant.granted);
        }
        let id = self.learn_name(grant, answer);
        if let Some(bucket) = self.buckets.get_mut(&id) {
            bucket.answered(answer, grant.granted, now);
        }
    }

    /// A permit was dropped without an answer: its request may or may not have been sent.
    pub(crate) fn abandoned(&mut self, grant: &Grant, now: Instant) {
        if !grant.route.exempt_from_global {
            self.global.lost(now);
        }
        let id = self.resolve(grant.bucket);
        if let Some(bucket) = self.buckets.get_mut(&id) {
            bucket.abandoned(grant.granted, now);
        }
    }

    /// The request of a grant was surely not sent.
    pub(crate) fn give_back(&mut self, grant: &Grant) {
        self.vacate(grant.bucket, grant.route.exempt_from_global);
    }

    /// A waiter gave up; and what it was granted in the meantime was surely not sent.
    pub(crate) fn withdraw(&mut self, bucket: BucketId, turn: Turn, exempt_from_global: bool) {
        let id = self.resolve(bucket);
        if let Some(bucket) = self.buckets.get_mut(&id) {
            bucket.waiters.remove(&turn);
        }
        if let Some(Ok(granted)) = self.outcomes.remove(&turn) {
            self.vacate(granted.bucket, exempt_from_global);
        }
    }

    /// The bucket of a route, if there is one.
    pub(crate) fn find(&self, route: &Route) -> Option<&Bucket> {
        let key = self.key_of(route);
        let id = self.keys.get(&key).or_else(|| {
            self.keys
                .get(&BucketKey::Route(route.key.clone(), route.major.clone()))
        })?;
        self.buckets.get(id)
    }

    /// Makes a bucket known under `key`.
    pub(crate) fn insert(&mut self, key: BucketKey, bucket: Bucket) -> BucketId {
        let id = self.next_bucket;
        self.next_bucket += 1;
        self.keys.insert(key, id);
        self.buckets.insert(id, bucket);
        id
    }

    pub(crate) fn stats(&mut self, now: Instant) -> Stats {
        let waiting = |lane: Lane| {
            let turns = self.buckets.values().flat_map(|bucket| bucket.waiters.keys());
            turns.filter(|turn| turn.lane == lane).count()
        };
        Stats {
            waiting_now: waiting(Lane::Now),
            waiting_bulk: waiting(Lane::Bulk),
            in_flight: self.global.in_flight(),
            rate_limited: self.rate_limited,
            invalid_requests: self.budget.spent(now),
            held_for: self
                .global
                .held_until()
                .map(|until| until.saturating_duration_since(now)),
        }
    }

    fn vacate(&mut self, bucket: BucketId, exempt_from_global: bool) {
        let id = self.resolve(bucket);
        if let Some(bucket) = self.buckets.get_mut(&id) {
            bucket.in_flight = bucket.in_flight.saturating_sub(1);
        }
        if !exempt_from_global {
            self.global.withdrawn();
        }
    }

    fn key_of(&self, route: &Route) -> BucketKey {
        match self.names.get(&route.key) {
            Some(name) => BucketKey::Named(name.clone(), route.major.clone()),
            None => BucketKey::Route(route.key.clone(), route.major.clone()),
        }
    }

    fn bucket_of(&mut self, route: &Route, now: Instant) -> BucketId {
        let key = self.key_of(route);
        if let Some(id) = self.keys.get(&key) {
            return *id;
        }
        // The name may have been learned from another guild while this one's first request is still out.
        if let Some(id) = self
            .keys
            .remove(&BucketKey::Route(route.key.clone(), route.major.clone()))
        {
            self.keys.insert(key, id);
            return id;
        }
        self.collect_garbage(now);
        self.insert(key, Bucket::default())
    }

    /// Notes Discord's name for the bucket and returns the one that the answer is about.
    fn learn_name(&mut self, grant: &Grant, answer: &Answer) -> BucketId {
        let asked = self.resolve(grant.bucket);
        let Some(name) = &answer.bucket else { return asked };
        let route = &grant.route;
        self.names.insert(route.key.clone(), name.clone());
        let provisional = self
            .keys
            .remove(&BucketKey::Route(route.key.clone(), route.major.clone()));
        let key = BucketKey::Named(name.clone(), route.major.clone());
        match (self.keys.get(&key).copied(), provisional) {
            (Some(named), _) if named == asked => asked,
            (Some(named), Some(provisional)) => {
                self.merge(provisional, named);
                named
            }
            // Discord has renamed the bucket: this request moves, the others are answered where they were sent.
            (Some(named), None) => {
                self.move_one_in_flight(asked, named);
                named
            }
            (None, Some(provisional)) => {
                self.keys.insert(key, provisional);
                provisional
            }
            (None, None) => {
                let named = self.insert(key, Bucket::default());
                self.move_one_in_flight(asked, named);
                named
            }
        }
    }

    fn merge(&mut self, from: BucketId, into: BucketId) {
        if let Some(gone) = self.buckets.remove(&from)
            && let Some(bucket) = self.buckets.get_mut(&into)
        {
            bucket.in_flight += gone.in_flight;
            bucket.held_until = bucket.held_until.max(gone.held_until);
            bucket.waiters.extend(gone.waiters);
            self.merged
                .values_mut()
                .filter(|target| **target == from)
                .for_each(|target| *target = into);
            self.merged.insert(from, into);
        }
    }

    fn move_one_in_flight(&mut self, from: BucketId, to: BucketId) {
        if let Some(bucket) = self.buckets.get_mut(&from) {
            bucket.in_flight = bucket.in_flight.saturating_sub(1);
        }
        if let Some(bucket) = self.buckets.get_mut(&to) {
            bucket.in_flight += 1;
        }
    }

    fn resolve(&self, id: BucketId) -> BucketId {
        self.merged.get(&id).copied().unwrap_or(id)
    }

    /// The first turn of all that may go.
    fn next_to_go(&mut self, now: Instant) -> Option<(BucketId, Turn)> {
        let mut best: Option<(BucketId, Turn)> = None;
        for (id, bucket) in &mut self.buckets {
            let Some((turn, waiter)) = bucket.waiters.first_key_value() else {
                continue;
            };
            let (turn, exempt) = (*turn, waiter.exempt_from_global);
            let earlier = best.is_none_or(|(_, best)| turn < best);
            if earlier
                && self.global.readiness(exempt, now) == Readiness::Ready
                && bucket.readiness(now) == Readiness::Ready
            {
                best = Some((*id, turn));
            }
        }
        best
    }

    fn refuse_over_budget(&mut self, now: Instant) {
        for lane in [Lane::Bulk, Lane::Now] {
            let Err(refusal) = self.budget.check(lane, now) else {
                continue;
            };
            for bucket in self.buckets.values_mut() {
                for (turn, waiter) in bucket.waiters.extract_if(.., |turn, _| turn.lane == lane) {
                    self.outcomes.insert(turn, Err(refusal.clone()));
                    waiter.wake.notify_one();
                }
            }
        }
    }

    fn collect_garbage(&mut self, now: Instant) {
        if self.buckets.len() < self.gc_at {
            return;
        }
        self.buckets.retain(|_, bucket| !bucket.is_idle(now));
        self.keys.retain(|_, id| self.buckets.contains_key(id));
        self.merged.retain(|_, into| self.buckets.contains_key(into));
        self.gc_at = GC_THRESHOLD.max(self.buckets.len() * 2);
    }
}

impl Bucket {
    /// The limit and the length of its window, if known.
    pub(crate) const fn rate(&self) -> Option<(u32, std::time::Duration)> {
        match &self.knowledge {
            Knowledge::Limited(window) => Some((window.limit, window.length)),
            Knowledge::Unknown | Knowledge::Unlimited => None,
        }
    }
}
