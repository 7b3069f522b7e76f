//! The limiter's knowledge as a document with wall-clock deadlines, so that a restarted bot does not start blind.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::limiter::{
    answer::LimitScope,
    bucket::{Bucket, Knowledge},
    route::RouteKey,
    state::{BucketKey, State},
    window::Window,
};

/// No deadline is taken over that lies further ahead: the clock that wrote it was wrong.
const FURTHEST: TimeDelta = TimeDelta::hours(24);

/// No window is taken over that is longer.
const LONGEST_WINDOW: Duration = Duration::from_hours(24);

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    #[serde(default)]
    taken_at: DateTime<Utc>,
    #[serde(default)]
    routes: Vec<SavedRoute>,
    #[serde(default)]
    buckets: Vec<SavedBucket>,
    #[serde(default)]
    limited_until: Option<DateTime<Utc>>,
    #[serde(default)]
    edge_until: Option<DateTime<Utc>>,
    #[serde(default)]
    invalid: Vec<SavedInvalid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedRoute {
    method: String,
    template: String,
    bucket: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedBucket {
    /// Discord's name for it; buckets without one are not worth saving.
    bucket: String,
    major: String,
    limit: u32,
    window_ms: u64,
    remaining: u32,
    reset_at: Option<DateTime<Utc>>,
    held_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedInvalid {
    expires_at: DateTime<Utc>,
    count: u32,
}

/// Translates between the monotonic clock, which a restart loses, and the wall clock.
#[derive(Clone, Copy)]
struct Clocks {
    monotonic: Instant,
    wall: DateTime<Utc>,
}

impl Clocks {
    /// `None` for what is past.
    fn to_wall(self, instant: Instant) -> Option<DateTime<Utc>> {
        let ahead = instant
            .checked_duration_since(self.monotonic)
            .filter(|ahead| !ahead.is_zero())?;
        self.wall.checked_add_signed(TimeDelta::from_std(ahead).ok()?)
    }

    /// `None` for what is past or absurd.
    fn to_monotonic(self, time: DateTime<Utc>) -> Option<Instant> {
        let ahead = time - self.wall;
        (ahead <= FURTHEST)
            .then(|| ahead.to_std().ok())
            .flatten()
            .map(|ahead| self.monotonic + ahead)
    }
}

impl Snapshot {
    pub(crate) fn take(state: &mut State, monotonic: Instant, wall: DateTime<Utc>) -> Self {
        let clocks = Clocks { monotonic, wall };
        let routes = state
            .names
            .iter()
            .filter(|(key, _)| !is_short_lived(key))
            .map(|(key, bucket)| SavedRoute {
                method: key.method.clone(),
                template: key.template.clone(),
                bucket: bucket.clone(),
            })
            .collect();
        let mut buckets = Vec::new();
        for (key, id) in &state.keys {
            if let BucketKey::Named(name, major) = key
                && !major.contains(':')
                && let Some(saved) = state
                    .buckets
                    .get_mut(id)
                    .and_then(|bucket| save(name, major, bucket, clocks))
            {
                buckets.push(saved);
            }
        }
        let (limited, edge) = state.global.holds();
        // A restart within the second must not send a second fifty.
        let busy = state
            .global
            .is_busy(monotonic)
            .then(|| monotonic + Duration::from_secs(1));
        let mut snapshot = Self {
            taken_at: wall,
            routes,
            buckets,
            limited_until: limited.max(busy).and_then(|until| clocks.to_wall(until)),
            edge_until: edge.and_then(|until| clocks.to_wall(until)),
            invalid: state
                .budget
                .slots(monotonic)
                .filter_map(|(expiry, count)| {
                    clocks
                        .to_wall(expiry)
                        .map(|expires_at| SavedInvalid { expires_at, count })
                })
                .collect(),
        };
        snapshot
            .routes
            .sort_by(|a, b| (&a.method, &a.template).cmp(&(&b.method, &b.template)));
        snapshot
            .buckets
            .sort_by(|a, b| (&a.bucket, &a.major).cmp(&(&b.bucket, &b.major)));
        snapshot
    }

    pub(crate) fn apply(&self, state: &mut State, monotonic: Instant, wall: DateTime<Utc>) {
        // A clock that went backwards would make every wait longer.
        let clocks = Clocks {
            monotonic,
            wall: wall.max(self.taken_at),
        };
        for route in &self.routes {
            let key = RouteKey {
                method: route.method.clone(),
                template: route.template.clone(),
            };
            state.names.entry(key).or_insert_with(|| route.bucket.clone());
        }
        for saved in &self.buckets {
            let key = BucketKey::Named(saved.bucket.clone(), saved.major.clone());
            // What this process has learned by itself is newer.
            if !state.keys.contains_key(&key) {
                state.insert(key, saved.revive(clocks));
            }
        }
        let ahead = |time: Option<DateTime<Utc>>| time.and_then(|time| clocks.to_monotonic(time));
        if let Some(until) = ahead(self.limited_until) {
            state.global.hold(LimitScope::Global, until);
        }
        if let Some(until) = ahead(self.edge_until) {
            state.global.hold(LimitScope::Edge, until);
        }
        state.budget.restore(
            self.invalid
                .iter()
                .filter_map(|slot| Some((clocks.to_monotonic(slot.expires_at)?, slot.count))),
        );
    }
}

impl SavedBucket {
    fn revive(&self, clocks: Clocks) -> Bucket {
        let now = clocks.monotonic;
        let ahead = |time: Option<DateTime<Utc>>| time.and_then(|time| clocks.to_monotonic(time));
        let length = Duration::from_millis(self.window_ms).min(LONGEST_WINDOW);
        // Nothing resets later than one window from now, whatever the clock of another host said.
        let reset_at = ahead(self.reset_at).unwrap_or(now).min(now + length);
        let window = Window::restored(self.limit.max(1), length, self.remaining, reset_at, now);
        Bucket {
            knowledge: Knowledge::Limited(window),
            probing: true,
            held_until: ahead(self.held_until),
            ..Bucket::default()
        }
    }
}

fn save(name: &str, major: &str, bucket: &mut Bucket, clocks: Clocks) -> Option<SavedBucket> {
    let now = clocks.monotonic;
    let in_flight = bucket.in_flight;
    let held_until = bucket.held_until.and_then(|until| clocks.to_wall(until));
    let Knowledge::Limited(window) = &mut bucket.knowledge else {
        return None;
    };
    let remaining = window.left(in_flight, now);
    // Requests may have opened a window whose end no answer has told yet.
    let reset_at = window
        .resets_at()
        .or_else(|| (in_flight > 0).then(|| now + window.length));
    Some(SavedBucket {
        bucket: name.to_owned(),
        major: major.to_owned(),
        limit: window.limit,
        window_ms: u64::try_from(window.length.as_millis()).unwrap_or(u64::MAX),
        remaining,
        reset_at: reset_at.and_then(|at| clocks.to_wall(at)),
        held_until,
    })
}

/// Interactions and webhooks carry tokens that a restart outlives.
fn is_short_lived(key: &RouteKey) -> bool {
    key.template.starts_with("webhooks/") || key.template.starts_with("interactions/")
}
