//! Keeps one client under the account's rate limit, and quiet after a 429. Pure: time is passed in.

use std::{collections::HashMap, time::Duration};

use rolecall_domain::clock::Rng;
use tokio::time::Instant;

use crate::{client::retry::less_a_random_part, key::KeyMode};

/// How long a call may wait for its turn. Beyond it the caller is told when to come back.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// After so many 429s in a row that name no time the quiet does not get longer: half a minute, from a second.
const MOST_DOUBLINGS: u32 = 5;

/// How many requests Stripe allows in any second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Over all endpoints.
    pub per_second: u32,
    /// On one endpoint.
    pub per_endpoint: u32,
}

impl RateLimit {
    /// What Stripe allows an account: 100 a second, 25 in test mode; 25 on one endpoint.
    pub const fn of_account(mode: KeyMode) -> Self {
        match mode {
            KeyMode::Live => Self {
                per_second: 100,
                per_endpoint: 25,
            },
            KeyMode::Test => Self {
                per_second: 25,
                per_endpoint: 25,
            },
        }
    }
}

/// What a turn is taken on: one endpoint first, then the account as a whole. One after the other,
/// so that a queue at one endpoint does not hold up the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Endpoint(&'static str),
    Account,
}

/// The turns given out so far.
#[derive(Debug)]
pub(crate) struct Pacer {
    limit: Option<RateLimit>,
    quiet_until: Option<Instant>,
    /// Until when it is quiet by our own guess.
    guessed_until: Option<Instant>,
    first_quiet: Duration,
    /// 429s that named no time, since the last success.
    unnamed: u32,
    buckets: HashMap<Lane, Bucket>,
}

impl Pacer {
    pub(crate) fn new(limit: Option<RateLimit>, first_quiet: Duration) -> Self {
        Self {
            limit,
            quiet_until: None,
            guessed_until: None,
            first_quiet,
            unnamed: 0,
            buckets: HashMap::new(),
        }
    }

    /// Takes the next turn on `lane`: the time at which to go, or, when that is too far away, how
    /// far it is, and then no turn is taken.
    pub(crate) fn turn(&mut self, lane: Lane, now: Instant) -> Result<Instant, Duration> {
        let earliest = self.quiet_until.map_or(now, |until| until.max(now));
        let Some(limit) = self.limit else {
            return in_time(earliest, now);
        };
        let limit = match lane {
            Lane::Endpoint(_) => limit.per_endpoint,
            Lane::Account => limit.per_second,
        };
        let bucket = self.buckets.entry(lane).or_default();
        let at = in_time(bucket.next(limit, earliest), now)?;
        bucket.take(limit, at);
        Ok(at)
    }

    /// Nobody goes before `until`: Stripe has said that it is too much.
    pub(crate) fn keep_quiet(&mut self, until: Instant) {
        self.quiet_until = Some(self.quiet_until.map_or(until, |before| before.max(until)));
    }

    /// Stripe has said that it is too much, and not for how long: nobody goes for a while, which doubles with
    /// each time. What it says to calls that were under way when the quiet began is the same once more.
    /// Returns how long it lasts.
    pub(crate) fn back_off(&mut self, now: Instant, rng: &dyn Rng) -> Duration {
        if let Some(until) = self.quiet_until.filter(|until| *until > now) {
            return until.duration_since(now);
        }
        let factor = 2_u32.pow(self.unnamed.min(MOST_DOUBLINGS));
        let wait = less_a_random_part(self.first_quiet.saturating_mul(factor), rng);
        self.unnamed = self.unnamed.saturating_add(1);
        self.guessed_until = now.checked_add(wait);
        self.quiet_until = self.guessed_until;
        wait
    }

    /// Whether nobody knows when a call may go: who cannot wait now comes back when they think best.
    pub(crate) fn guesses(&self, now: Instant) -> bool {
        self.guessed_until.is_some_and(|until| until > now)
    }

    /// Stripe has done what it was asked.
    pub(crate) const fn note_success(&mut self) {
        self.unnamed = 0;
    }
}

fn in_time(at: Instant, now: Instant) -> Result<Instant, Duration> {
    let wait = at.saturating_duration_since(now);
    if wait > LONGEST_TURN { Err(wait) } else { Ok(at) }
}

/// A token bucket, kept as the time at which it would be full again. It fills at four fifths of
/// the limit and holds one fifth of it, so that no second ever sees more than the limit.
#[derive(Debug, Default)]
struct Bucket {
    full_at: Option<Instant>,
}

impl Bucket {
    /// When the next token is there.
    fn next(&self, limit: u32, now: Instant) -> Instant {
        let room = interval(limit) * (limit / 5).saturating_sub(1);
        self.full_at
            .and_then(|full_at| full_at.checked_sub(room))
            .map_or(now, |next| next.max(now))
    }

    fn take(&mut self, limit: u32, at: Instant) {
        self.full_at = Some(self.full_at.map_or(at, |full_at| full_at.max(at)) + interval(limit));
    }
}

fn interval(limit: u32) -> Duration {
    Duration::from_secs(5) / limit.saturating_mul(4).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    /// The most, or the least, that chance can be.
    #[derive(Debug)]
    struct Fixed(u8);

    impl Rng for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    const LIMIT: RateLimit = RateLimit {
        per_second: 100,
        per_endpoint: 25,
    };
    const QUIET: Duration = Duration::from_secs(1);
    const ENDPOINT: Lane = Lane::Endpoint("GET /v1/a");

    /// The times, from the start, at which calls go that are all wanted at once.
    fn turns(pacer: &mut Pacer, lane: Lane, count: usize, now: Instant) -> Vec<Duration> {
        (0..count)
            .map_while(|_| pacer.turn(lane, now).ok())
            .map(|at| at - now)
            .collect()
    }

    fn busiest_second(times: &[Duration]) -> usize {
        let within = |start: Duration| {
            times
                .iter()
                .filter(|time| (start..start + Duration::from_secs(1)).contains(*time))
                .count()
        };
        times.iter().map(|start| within(*start)).max().unwrap_or_default()
    }

    #[test]
    fn a_few_calls_go_at_once_and_many_are_spread() {
        let (mut pacer, now) = (Pacer::new(Some(LIMIT), QUIET), Instant::now());
        let turns = turns(&mut pacer, ENDPOINT, 80, now);
        assert_eq!(turns.len(), 80);
        assert!(turns[..5].iter().all(Duration::is_zero), "{turns:?}");
        assert!(busiest_second(&turns) <= 25, "{turns:?}");
        // Twenty a second in the long run: what was spared at first is made up for.
        assert!(
            (3_500..=4_000).contains(&turns[79].as_millis()),
            "{:?}",
            turns[79]
        );
    }

    #[test]
    fn a_queue_at_one_endpoint_does_not_hold_up_the_others() {
        let (mut pacer, now) = (Pacer::new(Some(LIMIT), QUIET), Instant::now());
        turns(&mut pacer, ENDPOINT, 80, now);
        assert_eq!(pacer.turn(Lane::Endpoint("GET /v1/b"), now), Ok(now));
        assert_eq!(pacer.turn(Lane::Account, now), Ok(now));
    }

    #[test]
    fn the_account_has_its_own_limit() {
        let (mut pacer, now) = (Pacer::new(Some(LIMIT), QUIET), Instant::now());
        let turns = turns(&mut pacer, Lane::Account, 300, now);
        assert!(
            (90..=100).contains(&busiest_second(&turns)),
            "{}",
            busiest_second(&turns)
        );
    }

    #[test]
    fn a_turn_too_far_away_is_not_taken() {
        let (mut pacer, now) = (Pacer::new(Some(LIMIT), QUIET), Instant::now());
        let taken = turns(&mut pacer, ENDPOINT, 1_000, now);
        assert!(taken.len() < 150, "{}", taken.len());
        let wait = pacer.turn(ENDPOINT, now).unwrap_err();
        assert!(wait > LONGEST_TURN);
        // Asking in vain has not moved the queue: after that wait there is a turn at once.
        assert_eq!(pacer.turn(ENDPOINT, now + wait), Ok(now + wait));
    }

    #[test]
    fn after_a_429_nobody_goes_before_the_time_that_stripe_named() {
        let now = Instant::now();
        for limit in [None, Some(LIMIT)] {
            let mut pacer = Pacer::new(limit, QUIET);
            assert_eq!(pacer.turn(ENDPOINT, now), Ok(now));
            pacer.keep_quiet(now + Duration::from_secs(2));
            pacer.keep_quiet(now + Duration::from_secs(1));
            assert_eq!(pacer.turn(ENDPOINT, now), Ok(now + Duration::from_secs(2)));
            pacer.keep_quiet(now + Duration::from_mins(1));
            assert_eq!(pacer.turn(Lane::Account, now), Err(Duration::from_mins(1)));
        }
    }

    #[test]
    fn a_429_that_names_no_time_keeps_quiet_for_longer_each_time_until_a_success() {
        for (chance, divisor) in [(255, 1), (0, 2)] {
            let (mut pacer, mut now) = (Pacer::new(None, QUIET), Instant::now());
            for seconds in [1, 2, 4, 8, 16, 32, 32] {
                let wait = Duration::from_secs(seconds) / divisor;
                assert_eq!(pacer.back_off(now, &Fixed(chance)), wait);
                let turn = pacer.turn(Lane::Account, now);
                assert_eq!(turn.map_or_else(|wait| wait, |at| at - now), wait);
                now += wait;
                assert_eq!(pacer.turn(Lane::Account, now), Ok(now));
            }
            pacer.note_success();
            assert_eq!(pacer.back_off(now, &Fixed(chance)), QUIET / divisor);
        }
    }

    #[test]
    fn calls_that_were_under_way_when_the_quiet_began_do_not_make_it_longer() {
        let (mut pacer, now) = (Pacer::new(Some(LIMIT), QUIET), Instant::now());
        let late = now + Duration::from_millis(300);
        for at in [now, now, late] {
            let wait = pacer.back_off(at, &Fixed(255));
            assert_eq!(at + wait, now + QUIET);
        }
        // Nor do they shorten one that Stripe has named.
        pacer.keep_quiet(now + Duration::from_mins(1));
        pacer.back_off(late, &Fixed(255));
        assert_eq!(pacer.turn(Lane::Account, now), Err(Duration::from_mins(1)));
    }

    #[test]
    fn without_a_limit_all_go_at_once() {
        let (mut pacer, now) = (Pacer::new(None, QUIET), Instant::now());
        assert!(
            turns(&mut pacer, ENDPOINT, 1_000, now)
                .iter()
                .all(Duration::is_zero)
        );
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_limit(limit in 1..200_u32, gaps in proptest::collection::vec(0..80_u64, 1..300)) {
            let mut pacer = Pacer::new(Some(RateLimit { per_second: limit, per_endpoint: limit }), QUIET);
            let start = Instant::now();
            let mut now = start;
            let mut times = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                times.extend(pacer.turn(ENDPOINT, now).ok().map(|at| at - start));
            }
            prop_assert!(busiest_second(&times) <= usize::try_from(limit).unwrap(), "{:?}", times);
        }
    }
}
