//! A model of Discord's side for tests: fixed windows per bucket, 50 a second over all, 429 beyond. And the property
//! that the limiter never runs into one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::limiter::{Answer, Lane, Limiter, Route};

/// How long any scenario may take, in the paused clock.
const FOREVER: Duration = Duration::from_hours(1);

/// One bucket's rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limit: u32,
    pub(crate) window: Duration,
    /// Windows begin at fixed times rather than with the first request.
    pub(crate) aligned: bool,
}

/// Discord.
#[derive(Debug)]
pub(crate) struct Model {
    rules: Rules,
    epoch: Instant,
    windows: HashMap<String, (Instant, u32)>,
    last_second: VecDeque<Instant>,
    pub(crate) served: u32,
    pub(crate) refused: u32,
    pub(crate) busiest_second: usize,
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            rules,
            epoch: Instant::now(),
            windows: HashMap::new(),
            last_second: VecDeque::new(),
            served: 0,
            refused: 0,
            busiest_second: 0,
        }))
    }

    /// Other rules from the next window on; the limit counts at once.
    pub(crate) fn change(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// What Discord answers to a request of `major` that arrives now.
    pub(crate) fn handle(&mut self, major: &str) -> Answer {
        let now = Instant::now();
        let Rules {
            limit,
            window,
            aligned,
        } = self.rules;
        self.last_second.retain(|at| *at + Duration::from_secs(1) > now);
        self.last_second.push_back(now);
        self.busiest_second = self.busiest_second.max(self.last_second.len());
        let (reset, used) = self.windows.entry(major.to_owned()).or_insert((now, 0));
        if *reset <= now {
            *used = 0;
            let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
            let begun = if aligned {
                millis(now - self.epoch) % millis(window)
            } else {
                0
            };
            *reset = now + window - Duration::from_millis(begun);
        }
        let status = if *used < limit { 204 } else { 429 };
        *used += 1;
        if status == 429 {
            self.refused += 1;
        } else {
            self.served += 1;
        }
        let after = (*reset - now).as_secs_f64();
        let remaining = limit.saturating_sub(*used);
        answer(
            status,
            &[
                ("x-ratelimit-bucket", "a1b2"),
                ("x-ratelimit-limit", &limit.to_string()),
                ("x-ratelimit-remaining", &remaining.to_string()),
                ("x-ratelimit-reset-after", &format!("{after:.3}")),
            ],
        )
    }
}

pub(crate) fn answer(status: u16, pairs: &[(&'static str, &str)]) -> Answer {
    let headers: HeaderMap = pairs
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    Answer::new(status, &headers, b"")
}

pub(crate) fn role_route(guild: u64, user: u64) -> Route {
    Route::new("PUT", &format!("guilds/{guild}/members/{user}/roles/1"))
}

/// What a request of a scenario goes through.
#[derive(Debug, Clone)]
struct Journey {
    guild: u64,
    lane: Lane,
    starts: Duration,
    there: Duration,
    back: Duration,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Answered,
    /// The answer is lost and the caller gives up.
    AnswerLost,
    /// The caller gives up before the request arrives, and it arrives all the same.
    GivenUpEarly,
}

async fn travel(limiter: Limiter, model: Arc<Mutex<Model>>, journey: Journey, user: u64) {
    sleep(journey.starts).await;
    let route = role_route(journey.guild, user);
    let permit = limiter.acquire(&route, journey.lane).await.unwrap();
    // Who loses requests before having seen most of a window has nothing to go by: no promise then.
    let window = model.lock().unwrap().rules.window;
    let known = limiter.rate(&route).is_some_and(|rate| rate.window > window / 2);
    let major = journey.guild.to_string();
    if journey.fate == Fate::GivenUpEarly && known {
        drop(permit);
        sleep(journey.there).await;
        model.lock().unwrap().handle(&major);
        return;
    }
    sleep(journey.there).await;
    let answer = model.lock().unwrap().handle(&major);
    if journey.fate == Fate::AnswerLost && known {
        return;
    }
    sleep(journey.back).await;
    permit.complete(&answer);
}

fn run(rules: Rules, journeys: Vec<Journey>) -> (u32, u32, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (limiter, model) = (Limiter::default(), Model::new(rules));
        let mut tasks = JoinSet::new();
        for (user, journey) in (1..).zip(journeys) {
            tasks.spawn(travel(limiter.clone(), Arc::clone(&model), journey, user));
        }
        timeout(FOREVER, tasks.join_all())
            .await
            .expect("the limiter let somebody wait for ever");
        let model = model.lock().unwrap();
        (model.served, model.refused, model.busiest_second)
    })
}

fn journeys(window: u64) -> impl Strategy<Value = Vec<Journey>> {
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    // Round trips stay well below a window, as Discord's do.
    let leg = (window / 5).max(2);
    let lane = prop_oneof![Just(Lane::Now), Just(Lane::Bulk)];
    let fate =
        prop_oneof![9 => Just(Fate::Answered), 1 => Just(Fate::AnswerLost), 1 => Just(Fate::GivenUpEarly)];
    let journey = (
        1_u64..4,
        lane,
        millis(0..window * 4),
        millis(0..leg),
        millis(0..leg),
        fate,
    )
        .prop_map(|(guild, lane, starts, there, back, fate)| Journey {
            guild,
            lane,
            starts,
            there,
            back,
            fate,
        });
    proptest::collection::vec(journey, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_ever_answered_with_429(
        (limit, aligned, (window, journeys)) in (
            1_u32..13,
            any::<bool>(),
            (40_u64..4000).prop_flat_map(|window| (Just(window), journeys(window))),
        ),
    ) {
        let count = u32::try_from(journeys.len()).unwrap();
        let rules = Rules { limit, window: Duration::from_millis(window), aligned };
        let (served, refused, busiest) = run(rules, journeys);
        prop_assert_eq!(refused, 0);
        prop_assert_eq!(served, count);
        prop_assert!(busiest <= 50, "{} requests in one second", busiest);
    }
}
