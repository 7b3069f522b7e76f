//! Somebody who is being written: their events are our own echo, and go to whoever waits for it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rolecall_domain::ids::GuildId;
use tokio::{sync::Notify, time::timeout};

use crate::world::{Fact, Key, Presence, Sighting, State, World};

/// Somebody is being written.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) notify: Arc<Notify>,
    /// Events since the writing began.
    pub(super) events: u64,
}

/// The right to write somebody. While it lasts, what the gateway tells of them is not told the worker; in the end it
/// is, if it is not what was reported.
#[derive(Debug)]
pub(crate) struct Writing {
    world: Arc<World>,
    key: Key,
    notify: Arc<Notify>,
    /// What is told in the end unless it is still so.
    reported: Option<Sighting>,
    /// It has come to its end, so that what was written has been seen.
    seen_through: bool,
}

/// How much was known when a look began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(Option<u64>);

impl World {
    /// Begins to write somebody. At most one at a time may.
    pub(crate) fn begin(self: &Arc<Self>, key: Key) -> Writing {
        let mut state = self.state();
        let watch = Watch::default();
        let notify = Arc::clone(&watch.notify);
        let reported = state.members.get(key).cloned();
        state.writing.insert(key, watch);
        Writing {
            world: Arc::clone(self),
            key,
            notify,
            reported,
            seen_through: false,
        }
    }
}

impl Writing {
    /// To be called before a look by REST.
    pub(crate) fn mark(&self) -> Mark {
        let state = self.world.state();
        Mark(
            state
                .writing
                .get(&self.key)
                .filter(|_| state.live)
                .map(|watch| watch.events),
        )
    }

    /// Keeps what a look that began at `mark` has shown, unless the gateway knows better; returns what holds.
    pub(crate) fn saw(&self, mark: Mark, sighting: Sighting) -> Sighting {
        if !self.world.sees_members {
            return sighting;
        }
        let mut state = self.world.state();
        let events = state.writing.get(&self.key).map(|watch| watch.events);
        match state.members.get(self.key) {
            Some(newer) if events != mark.0 && state.live => newer.clone(),
            _ => {
                if state.live && mark.0.is_some() {
                    state.members.insert(self.key, sighting.clone());
                }
                sighting
            }
        }
    }

    /// Waits until the gateway has told something that `satisfies`, but not for long.
    pub(crate) async fn echo(
        &self,
        patience: Duration,
        satisfies: impl Fn(&Sighting) -> bool,
    ) -> Option<Sighting> {
        let heard = async {
            loop {
                if let Some(sighting) = self.world.fresh(self.key).filter(&satisfies) {
                    return sighting;
                }
                self.notify.notified().await;
            }
        };
        timeout(patience, heard).await.ok()
    }

    /// Ends with this report: only what differs from it is news.
    pub(crate) fn finish(mut self, sighting: Sighting) {
        self.reported = Some(sighting);
        self.seen_through = true;
    }

    /// Ends without a report, because another writing of the same person follows and will have one.
    pub(crate) fn hand_on(mut self) {
        let now = self.world.state().members.get(self.key).cloned();
        self.reported = now;
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.world.state();
        state.writing.remove(&self.key);
        let now = state.members.get(self.key).cloned();
        if !self.seen_through {
            // What was written may be done, although the gateway has not told yet: the next one has to ask.
            state.members.forget(self.key);
        }
        let (Some(reported), Some(now)) = (self.reported.take(), now) else {
            return;
        };
        if let Some(fact) = self.world.news(self.key.0, Some(&reported), &now) {
            self.world
                .tell_member(&mut state, self.key, fact, self.world.now());
        }
    }
}

impl World {
    /// What there is to tell about somebody who was seen like `before` and is now like `now`.
    pub(super) fn news(&self, guild_id: GuildId, before: Option<&Sighting>, now: &Sighting) -> Option<Fact> {
        match (before, now) {
            (Some(None), None) => None,
            (_, None) => Some(Fact::Left),
            (Some(None), Some(presence)) => Some(Fact::Joined(presence.clone())),
            (Some(Some(before)), Some(presence)) if !self.differs(guild_id, before, presence) => None,
            (_, Some(presence)) => Some(Fact::Changed(presence.clone())),
        }
    }

    /// Whether the difference between two sightings concerns us.
    fn differs(&self, guild_id: GuildId, before: &Presence, now: &Presence) -> bool {
        let ours = self.catalog.takeable(guild_id).unwrap_or_default();
        before.pending != now.pending
            || before
                .roles
                .symmetric_difference(&now.roles)
                .any(|role| ours.contains(role))
    }

    pub(super) fn tell_member(&self, state: &mut State, key: Key, fact: Fact, at: DateTime<Utc>) {
        let sequence = state.sequence();
        state
            .outbox
            .put_member(key, fact, sequence, at, std::time::Instant::now());
        self.stirred.notify_one();
    }
}
