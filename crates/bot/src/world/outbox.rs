//! What the worker has to be told, each subject once and as it is now, however long Redis is away.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rolecall_domain::ids::GuildId;

use crate::world::{Key, Presence, Sighting};

/// Changes of a server come in bursts: they are told together.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Whom or what a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Guild(GuildId),
    Member(Key),
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A server looks different.
    Guild { identified: bool },
    /// Somebody came.
    Joined(Presence),
    /// Somebody left.
    Left,
    /// Somebody's roles changed.
    Changed(Presence),
}

/// A fact that is being published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) subject: Subject,
    pub(crate) fact: Fact,
    /// When it was seen last; `None` for a server, which is looked at when it is told.
    pub(crate) seen_at: Option<DateTime<Utc>>,
    sequence: u64,
}

/// What is to be published next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This.
    Now(Ticket),
    /// Something, then.
    At(Instant),
    /// Nothing.
    Nothing,
}

/// What was not told yet, in the order in which it came up.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: BTreeMap<u64, Entry>,
    places: HashMap<Subject, u64>,
    counter: u64,
    /// What is being told. It stays as it is: what comes up meanwhile is told after it.
    telling: Option<Ticket>,
}

#[derive(Debug)]
struct Entry {
    subject: Subject,
    fact: Fact,
    seen_at: Option<DateTime<Utc>>,
    ready_at: Instant,
    /// The gateway's number of the first event that this stands for.
    sequence: u64,
}

impl Outbox {
    /// Somebody came, left or changed.
    pub(crate) fn put_member(
        &mut self,
        key: Key,
        fact: Fact,
        sequence: u64,
        seen_at: DateTime<Utc>,
        now: Instant,
    ) {
        let subject = Subject::Member(key);
        let fact = match (self.waiting(subject), fact) {
            // Whoever came and was changed since has come.
            (Some(Fact::Joined(_)), Fact::Changed(presence)) => Fact::Joined(presence),
            (_, fact) => fact,
        };
        self.put(subject, fact, sequence, Some(seen_at), now);
    }

    /// Somebody is like this now: what is waiting about them is brought up to date, and nothing else is told.
    pub(crate) fn update_member(&mut self, key: Key, now: &Sighting, seen_at: DateTime<Utc>) {
        let Some(place) = self.places.get(&Subject::Member(key)) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(place) else {
            return;
        };
        entry.fact = match (&entry.fact, now) {
            (_, None) => Fact::Left,
            (Fact::Changed(_), Some(presence)) => Fact::Changed(presence.clone()),
            (_, Some(presence)) => Fact::Joined(presence.clone()),
        };
        entry.seen_at = Some(seen_at);
    }

    /// A server changed.
    pub(crate) fn put_guild(&mut self, guild_id: GuildId, identified: bool, sequence: u64, now: Instant) {
        let subject = Subject::Guild(guild_id);
        let before = matches!(self.waiting(subject), Some(Fact::Guild { identified: true }));
        let fact = Fact::Guild {
            identified: identified || before,
        };
        self.put(subject, fact, sequence, None, now + DEBOUNCE);
    }

    /// What is to be published at `now`: the same again until it is done.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        if let Some(telling) = &self.telling {
            return Next::Now(telling.clone());
        }
        let first = self
            .entries
            .iter()
            .min_by_key(|(place, entry)| (entry.ready_at.max(now), **place));
        let Some((place, entry)) = first else {
            return Next::Nothing;
        };
        if entry.ready_at > now {
            return Next::At(entry.ready_at);
        }
        let place = *place;
        let Some(Entry {
            subject,
            fact,
            seen_at,
            sequence,
            ..
        }) = self.entries.remove(&place)
        else {
            return Next::Nothing;
        };
        self.places.remove(&subject);
        let ticket = Ticket {
            subject,
            fact,
            seen_at,
            sequence,
        };
        self.telling = Some(ticket.clone());
        Next::Now(ticket)
    }

    /// What was being told is told.
    pub(crate) fn done(&mut self) {
        self.telling = None;
    }

    /// The number of the first event that was not told.
    pub(crate) fn oldest(&self) -> Option<u64> {
        let telling = self.telling.iter().map(|ticket| ticket.sequence);
        self.entries
            .values()
            .map(|entry| entry.sequence)
            .chain(telling)
            .min()
    }

    /// Makes everything ready.
    #[cfg(test)]
    pub(crate) fn hurry(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.ready_at = now;
        }
    }

    fn waiting(&self, subject: Subject) -> Option<&Fact> {
        self.places
            .get(&subject)
            .and_then(|place| self.entries.get(place))
            .map(|entry| &entry.fact)
    }

    fn put(
        &mut self,
        subject: Subject,
        fact: Fact,
        sequence: u64,
        seen_at: Option<DateTime<Utc>>,
        ready_at: Instant,
    ) {
        self.counter += 1;
        let place = *self.places.entry(subject).or_insert(self.counter);
        let entry = Entry {
            subject,
            fact,
            seen_at,
            ready_at,
            sequence,
        };
        match self.entries.get_mut(&place) {
            // The place, the first event and the time to tell stay: a server that changes all the time is told too.
            Some(waiting) => {
                *waiting = Entry {
                    sequence: waiting.sequence,
                    ready_at: waiting.ready_at,
                    ..entry
                }
            }
            None => {
                self.entries.insert(place, entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rolecall_domain::ids::{DiscordUserId, RoleId};

    use super::*;

    fn guild() -> GuildId {
        GuildId::new(1).unwrap()
    }

    fn key() -> Key {
        (guild(), DiscordUserId::new(2).unwrap())
    }

    fn with(role: u64) -> Presence {
        Presence {
            roles: [RoleId::new(role).unwrap()].into(),
            pending: false,
        }
    }

    fn take(outbox: &mut Outbox, now: Instant) -> Ticket {
        match outbox.next(now) {
            Next::Now(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn facts_about_one_person_become_one() {
        let (mut outbox, now, at) = (Outbox::default(), Instant::now(), DateTime::UNIX_EPOCH);
        outbox.put_member(key(), Fact::Joined(with(1)), 7, at, now);
        outbox.put_member(key(), Fact::Changed(with(2)), 8, at, now);
        assert_eq!(outbox.oldest(), Some(7));
        outbox.update_member(key(), &Some(with(3)), at);
        assert_eq!(take(&mut outbox, now).fact, Fact::Joined(with(3)));
        assert_eq!(outbox.oldest(), Some(7), "it is not told yet");
        outbox.done();
        assert_eq!((outbox.next(now), outbox.oldest()), (Next::Nothing, None));
        outbox.put_member(key(), Fact::Changed(with(2)), 9, at, now);
        outbox.put_member(key(), Fact::Left, 10, at, now);
        assert_eq!(take(&mut outbox, now).fact, Fact::Left);
    }

    #[test]
    fn what_comes_up_while_something_is_told_is_told_after_it() {
        let (mut outbox, now, at) = (Outbox::default(), Instant::now(), DateTime::UNIX_EPOCH);
        outbox.put_member(key(), Fact::Joined(with(1)), 1, at, now);
        let first = take(&mut outbox, now);
        outbox.put_member(key(), Fact::Changed(with(2)), 2, at, now);
        assert_eq!(take(&mut outbox, now), first, "Redis did not have it");
        outbox.done();
        assert_eq!(take(&mut outbox, now).fact, Fact::Changed(with(2)));
        assert_eq!(outbox.oldest(), Some(2));
    }

    #[test]
    fn a_server_is_told_once_after_a_while_and_a_new_session_is_not_forgotten() {
        let (mut outbox, now) = (Outbox::default(), Instant::now());
        outbox.put_guild(guild(), true, 1, now);
        outbox.put_guild(guild(), false, 2, now + DEBOUNCE / 2);
        assert_eq!(outbox.next(now), Next::At(now + DEBOUNCE));
        let fact = take(&mut outbox, now + DEBOUNCE).fact;
        assert_eq!(fact, Fact::Guild { identified: true });
        outbox.put_guild(guild(), false, 3, now + DEBOUNCE);
        outbox.done();
        assert_eq!(outbox.next(now + DEBOUNCE), Next::At(now + DEBOUNCE * 2));
        let fact = take(&mut outbox, now + DEBOUNCE * 2).fact;
        assert_eq!(fact, Fact::Guild { identified: false });
    }

    #[test]
    fn people_do_not_wait_behind_a_server_that_has_to_settle() {
        let (mut outbox, now, at) = (Outbox::default(), Instant::now(), DateTime::UNIX_EPOCH);
        outbox.put_guild(guild(), false, 1, now);
        outbox.put_member(key(), Fact::Left, 2, at, now);
        assert_eq!(take(&mut outbox, now).subject, Subject::Member(key()));
    }
}
