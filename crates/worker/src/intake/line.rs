//! The order in which waiting events take effect. Pure: it neither waits nor asks.
//!
//! Events that concern the same stand together. What is urgent goes first and of that the newest, so that
//! somebody who has just paid waits for no burst; and now and then it is the turn of whoever has waited
//! longest, so that nobody waits for ever.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;

use crate::{intake::subject::Subject, sync::Known};

/// Of so many picks one is the one that has waited longest.
const TURNS: u64 = 4;

/// An event that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Stripe's id.
    pub id: StripeEventId,
    /// When it was first seen, by the database's clock.
    pub seen_at: DateTime<Utc>,
    /// Attempts that have failed.
    pub attempts: u32,
    /// It may say when a debt began.
    pub dates_debt: bool,
    /// Until when it is ours, and no other worker takes it up.
    pub held_until: DateTime<Utc>,
    /// The trace that it came in (W3C).
    pub traceparent: Option<String>,
}

/// An event on its way into the line.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What it concerns.
    pub subject: Subject,
    /// The event.
    pub event: Waiting,
    /// Somebody may be waiting for it.
    pub urgent: bool,
    /// What was just looked up for it, to be used at once.
    pub known: Option<Known>,
}

/// Everything that waits for one subject, taken out of the line.
#[derive(Debug)]
pub struct Work {
    /// What it concerns.
    pub subject: Arc<Subject>,
    /// The events.
    pub events: Vec<Waiting>,
    /// Somebody may be waiting for it.
    pub urgent: bool,
    /// What was looked up for it when it came in.
    pub known: Option<Known>,
}

/// The time at which something was seen, and a number that makes it unique.
type Rank = (DateTime<Utc>, u64);

/// The line.
#[derive(Debug)]
pub struct Line {
    places: HashMap<Arc<Subject>, Place>,
    urgent: BTreeMap<Rank, Arc<Subject>>,
    others: BTreeMap<Rank, Arc<Subject>>,
    by_age: BTreeMap<Rank, Arc<Subject>>,
    /// Events that wait.
    len: usize,
    most: usize,
    numbers: u64,
    picks: u64,
}

#[derive(Debug)]
struct Place {
    waiting: Vec<Waiting>,
    /// Taken out and not done yet: what comes meanwhile waits for it.
    in_hand: Vec<(StripeEventId, DateTime<Utc>)>,
    running: bool,
    urgent: bool,
    known: Option<Known>,
    newest: Rank,
    oldest: Rank,
}

impl Line {
    /// An empty line that holds about `most` events.
    pub fn new(most: usize) -> Self {
        Self {
            places: HashMap::new(),
            urgent: BTreeMap::new(),
            others: BTreeMap::new(),
            by_age: BTreeMap::new(),
            len: 0,
            most,
            numbers: 0,
            picks: 0,
        }
    }

    /// How many events wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Lets an event in. Returns those that have to leave for it: of what is not urgent, and then of what
    /// is, the ones that nothing new has come for in the longest time.
    pub fn add(&mut self, arrival: Arrival) -> Vec<StripeEventId> {
        self.numbers += 1;
        let rank = (arrival.event.seen_at, self.numbers);
        let subject = Arc::new(arrival.subject);
        let (subject, mut place) = self.leave(&subject).unwrap_or_else(|| {
            let place = Place {
                waiting: Vec::new(),
                in_hand: Vec::new(),
                running: false,
                urgent: false,
                known: arrival.known,
                newest: rank,
                oldest: rank,
            };
            (subject, place)
        });
        place.urgent |= arrival.urgent;
        if place.waiting.is_empty() {
            (place.newest, place.oldest) = (rank, rank);
        } else {
            place.newest = place.newest.max(rank);
            place.oldest = place.oldest.min(rank);
        }
        place.waiting.push(arrival.event);
        self.len += 1;
        self.enter(Arc::clone(&subject), place);
        self.make_room(&subject)
    }

    /// Takes out what is next; nothing that is not urgent unless `others` may run.
    pub fn next(&mut self, others: bool) -> Option<Work> {
        let subject = self.pick(others)?;
        self.picks += 1;
        let (subject, mut place) = self.leave(&subject)?;
        let events = std::mem::take(&mut place.waiting);
        self.len -= events.len();
        let work = Work {
            subject: Arc::clone(&subject),
            urgent: place.urgent,
            known: place.known.take(),
            events,
        };
        place.running = true;
        place.urgent = false;
        place.in_hand = work
            .events
            .iter()
            .map(|event| (event.id.clone(), event.held_until))
            .collect();
        self.enter(subject, place);
        Some(work)
    }

    /// What was taken out is done: what came for its subject meanwhile may run.
    pub fn done(&mut self, subject: &Arc<Subject>) {
        if let Some((subject, mut place)) = self.leave(subject) {
            place.running = false;
            place.in_hand.clear();
            if !place.waiting.is_empty() {
                self.enter(subject, place);
            }
        }
    }

    /// What was taken out could not be tried: it waits again. Returns those that have to leave for it.
    pub fn put_back(&mut self, work: Work) -> Vec<StripeEventId> {
        self.done(&work.subject);
        let mut gone = Vec::new();
        for event in work.events {
            gone.extend(self.add(Arrival {
                subject: Subject::clone(&work.subject),
                event,
                urgent: work.urgent,
                known: None,
            }));
        }
        gone
    }

    /// Notes that everything whose time as ours ends before `soon` is held until `until`. Returns what.
    pub fn hold(&mut self, soon: DateTime<Utc>, until: DateTime<Utc>) -> Vec<StripeEventId> {
        let mut held = Vec::new();
        for place in self.places.values_mut() {
            let waiting = place
                .waiting
                .iter_mut()
                .map(|event| (&event.id, &mut event.held_until));
            let in_hand = place
                .in_hand
                .iter_mut()
                .map(|(id, held_until)| (&*id, held_until));
            for (id, held_until) in waiting.chain(in_hand) {
                if *held_until < soon {
                    *held_until = until;
                    held.push(id.clone());
                }
            }
        }
        held
    }

    /// Sends everybody away who waits.
    pub fn clear(&mut self) -> Vec<StripeEventId> {
        let mut ids = Vec::with_capacity(self.len);
        while let Some(subject) = self.by_age.values().next().cloned() {
            ids.extend(self.evict(&subject));
        }
        // And what waits for its subject to be done.
        for place in self.places.values_mut() {
            ids.extend(place.waiting.drain(..).map(|event| event.id));
        }
        self.len = 0;
        ids
    }

    fn pick(&self, others: bool) -> Option<Arc<Subject>> {
        let oldest = self.by_age.values().next()?;
        let its_turn = self.picks % TURNS == TURNS - 1;
        let is_urgent = |subject: &Arc<Subject>| self.places.get(subject).is_some_and(|place| place.urgent);
        if its_turn && (others || is_urgent(oldest)) {
            return Some(Arc::clone(oldest));
        }
        let urgent = self.urgent.values().next_back();
        let other = self.others.values().next_back().filter(|_| others);
        urgent.or(other).cloned()
    }

    /// Somebody has to go while there are too many, but not the one that has just come.
    fn make_room(&mut self, newcomer: &Arc<Subject>) -> Vec<StripeEventId> {
        let mut gone = Vec::new();
        while self.len > self.most {
            let mut waiting = self.others.values().chain(self.urgent.values());
            let Some(subject) = waiting.find(|subject| *subject != newcomer).cloned() else {
                break;
            };
            gone.extend(self.evict(&subject));
        }
        gone
    }

    fn evict(&mut self, subject: &Arc<Subject>) -> Vec<StripeEventId> {
        let Some((_, place)) = self.leave(subject) else {
            return Vec::new();
        };
        self.len -= place.waiting.len();
        place.waiting.into_iter().map(|event| event.id).collect()
    }

    fn leave(&mut self, subject: &Arc<Subject>) -> Option<(Arc<Subject>, Place)> {
        let (subject, place) = self.places.remove_entry(subject)?;
        self.urgent.remove(&place.newest);
        self.others.remove(&place.newest);
        self.by_age.remove(&place.oldest);
        Some((subject, place))
    }

    fn enter(&mut self, subject: Arc<Subject>, place: Place) {
        if !place.running {
            let class = if place.urgent {
                &mut self.urgent
            } else {
                &mut self.others
            };
            class.insert(place.newest, Arc::clone(&subject));
            self.by_age.insert(place.oldest, Arc::clone(&subject));
        }
        self.places.insert(subject, place);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn arrival(number: usize, subject: u8, urgent: bool, seen: i64) -> Arrival {
        let id = |kind: &str| format!("{kind}_{subject}");
        Arrival {
            subject: Subject {
                subscriptions: vec![id("sub").parse().unwrap()],
                ..Subject::default()
            },
            event: Waiting {
                id: format!("evt_{number}").parse().unwrap(),
                seen_at: at(seen),
                attempts: 0,
                dates_debt: false,
                held_until: at(seen + 30),
                traceparent: None,
            },
            urgent,
            known: None,
        }
    }

    fn names(work: Option<Work>) -> Vec<String> {
        let events = work.map(|work| work.events).unwrap_or_default();
        events.into_iter().map(|event| event.id.to_string()).collect()
    }

    #[test]
    fn the_newest_urgent_goes_first_and_now_and_then_the_oldest_of_all() {
        let mut line = Line::new(100);
        for n in 0..6 {
            line.add(arrival(
                n,
                u8::try_from(n).unwrap(),
                n % 2 == 1,
                i64::try_from(n).unwrap(),
            ));
        }
        let order: Vec<String> = (0..6).flat_map(|_| names(line.next(true))).collect();
        assert_eq!(order, ["evt_5", "evt_3", "evt_1", "evt_0", "evt_4", "evt_2"]);
        assert!(line.next(true).is_none() && line.is_empty());
    }

    #[test]
    fn without_room_for_others_only_what_is_urgent_goes() {
        let mut line = Line::new(100);
        line.add(arrival(1, 1, false, 1));
        line.add(arrival(2, 2, true, 2));
        assert_eq!(names(line.next(false)), ["evt_2"]);
        assert!(line.next(false).is_none());
        assert_eq!(names(line.next(true)), ["evt_1"]);
    }

    #[test]
    fn what_concerns_the_same_goes_together_and_one_at_a_time() {
        let mut line = Line::new(100);
        for n in 1..4 {
            line.add(arrival(n, 1, false, 1));
        }
        let work = line.next(true).unwrap();
        assert_eq!(work.events.len(), 3);
        line.add(arrival(4, 1, true, 2));
        assert!(line.next(true).is_none(), "its subject is being done");
        line.done(&work.subject);
        let work = line.next(true).unwrap();
        assert!(work.urgent);
        let subject = Arc::clone(&work.subject);
        assert_eq!(names(Some(work)), ["evt_4"]);
        line.done(&subject);
        assert!(line.places.is_empty());
    }

    #[test]
    fn work_that_could_not_be_tried_waits_again_with_what_came_meanwhile() {
        let mut line = Line::new(100);
        line.add(arrival(1, 1, true, 1));
        let work = line.next(true).unwrap();
        line.add(arrival(2, 1, false, 2));
        line.put_back(work);
        let work = line.next(true).unwrap();
        assert!(work.urgent);
        assert_eq!(names(Some(work)), ["evt_2", "evt_1"]);
    }

    #[test]
    fn in_a_full_line_whoever_has_just_come_stays() {
        let mut line = Line::new(3);
        for (n, urgent) in [(1, true), (2, false), (3, false)] {
            assert!(
                line.add(arrival(n, u8::try_from(n).unwrap(), urgent, 1))
                    .is_empty()
            );
        }
        let gone = |ids: Vec<StripeEventId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(gone(line.add(arrival(4, 4, true, 2))), ["evt_2"]);
        assert_eq!(gone(line.add(arrival(5, 5, true, 3))), ["evt_3"]);
        assert_eq!(gone(line.add(arrival(6, 6, true, 4))), ["evt_1"]);
    }

    #[test]
    fn what_waits_or_is_in_hand_is_held_longer_before_its_time_is_up() {
        let mut line = Line::new(100);
        line.add(arrival(1, 1, false, 0));
        line.next(true).unwrap();
        line.add(arrival(2, 2, false, 0));
        line.add(arrival(3, 3, false, 20));
        let mut held = line.hold(at(45), at(75));
        held.sort();
        assert_eq!(
            held.iter().map(StripeEventId::as_str).collect::<Vec<_>>(),
            ["evt_1", "evt_2"]
        );
        assert!(line.hold(at(45), at(75)).is_empty(), "once is enough");
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_and_nobody_waits_for_ever(
            acts in proptest::collection::vec((0..8_u8, any::<bool>(), 0..4_u8), 1..200),
        ) {
            let mut line = Line::new(40);
            let (mut inside, mut left) = (std::collections::BTreeSet::new(), 0_usize);
            let mut running = Vec::new();
            for (n, (subject, urgent, act)) in acts.iter().enumerate() {
                match act {
                    0 | 1 => {
                        let arrival = arrival(n, *subject, *urgent, i64::from(*subject));
                        inside.insert(arrival.event.id.clone());
                        for id in line.add(arrival) {
                            prop_assert!(inside.remove(&id), "{} left twice", id);
                            left += 1;
                        }
                    }
                    2 => {
                        if let Some(work) = line.next(*urgent) {
                            prop_assert!(!running.iter().any(|other: &Work| other.subject == work.subject));
                            running.push(work);
                        }
                    }
                    _ => {
                        if let Some(work) = running.pop() {
                            if *urgent {
                                line.done(&work.subject);
                                for event in work.events {
                                    prop_assert!(inside.remove(&event.id), "{} twice", event.id);
                                    left += 1;
                                }
                            } else {
                                for id in line.put_back(work) {
                                    prop_assert!(inside.remove(&id), "{} left twice", id);
                                    left += 1;
                                }
                            }
                        }
                    }
                }
                let out: usize = running.iter().map(|work| work.events.len()).sum();
                prop_assert_eq!(line.len() + out, inside.len());
            }
            for work in running {
                line.put_back(work).into_iter().for_each(|id| { inside.remove(&id); });
            }
            let rounds = inside.len();
            for _ in 0..rounds {
                let Some(work) = line.next(true) else { break };
                line.done(&work.subject);
                for event in work.events {
                    prop_assert!(inside.remove(&event.id));
                }
            }
            prop_assert!(inside.is_empty() && line.is_empty() && line.places.is_empty(), "{:?} {left}", inside);
        }

        #[test]
        fn clearing_sends_everybody_away_who_waits(subjects in proptest::collection::vec(0..5_u8, 0..50), taken in 0..4_usize) {
            let mut line = Line::new(100);
            let mut running = Vec::new();
            for (n, subject) in subjects.iter().enumerate() {
                line.add(arrival(n, *subject, false, 0));
                if n % 7 == taken {
                    running.extend(line.next(true));
                }
            }
            let out: usize = running.iter().map(|work| work.events.len()).sum();
            prop_assert_eq!(line.clear().len() + out, subjects.len());
            prop_assert!(line.is_empty() && line.next(true).is_none());
        }
    }
}
