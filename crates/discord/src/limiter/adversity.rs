//! The limiter where Discord changes its mind, stops everything, or is not to be believed; in paused time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::limiter::{
    Answer, Lane, Limiter,
    model::{Model, Rules, answer, role_route},
};

const LEG: Duration = Duration::from_millis(30);

/// One role change, repeated until it is done.
async fn change(limiter: Limiter, guild: u64, user: u64, discord: impl Fn() -> Answer) {
    loop {
        let permit = limiter
            .acquire(&role_route(guild, user), Lane::Bulk)
            .await
            .unwrap();
        sleep(LEG).await;
        let answer = discord();
        sleep(LEG).await;
        permit.complete(&answer);
        if answer.is_success() {
            return;
        }
    }
}

/// How long `count` role changes of one server take.
async fn sweep(limiter: &Limiter, model: &Arc<Mutex<Model>>, count: u64) -> Duration {
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for user in 1..=count {
        let model = Arc::clone(model);
        tasks.spawn(change(limiter.clone(), 1, user, move || {
            model.lock().unwrap().handle("1")
        }));
    }
    timeout(Duration::from_hours(1), tasks.join_all())
        .await
        .expect("the limiter let somebody wait for ever");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn limits_that_change_while_a_sweep_runs_are_taken_up_within_a_window() {
    let rules = |limit, millis| Rules {
        limit,
        window: Duration::from_millis(millis),
        aligned: false,
    };
    let first = rules(10, 2_000);
    let (limiter, model) = (Limiter::default(), Model::new(first));
    let mut before = first;
    for now in [
        first,
        rules(3, 2_000),
        rules(20, 2_000),
        rules(20, 10_000),
        rules(5, 500),
        rules(1, 700),
    ] {
        let refused = model.lock().unwrap().refused;
        model.lock().unwrap().change(now);
        let took = sweep(&limiter, &model, 120).await;
        // The end of a window is known to a round trip.
        let least = (now.window + 2 * LEG) * (120_u32.div_ceil(now.limit) - 1);
        // What the old rules may still cost: what was sent by them, and their last window.
        let allowed = least.mul_f64(1.025) + before.window + now.window;
        assert!(took <= allowed, "{now:?} after {before:?}: {took:?}");
        let refused = model.lock().unwrap().refused - refused;
        assert!(
            refused <= before.limit,
            "{now:?} after {before:?}: {refused} times 429"
        );
        if now.limit >= before.limit {
            assert_eq!(refused, 0, "{now:?} after {before:?}");
        }
        before = now;
    }
}

/// The requests that arrive while everything is refused with `refusal` for a minute, from two servers.
async fn storm(refusal: Answer) -> (u32, u32) {
    let limiter = Limiter::default();
    let over = Instant::now() + Duration::from_mins(1);
    let refused = Arc::new(Mutex::new(0));
    let mut tasks = JoinSet::new();
    for user in 1..=40 {
        let (refusal, refused) = (refusal.clone(), Arc::clone(&refused));
        let discord = move || {
            if Instant::now() >= over {
                return answer(204, &[]);
            }
            *refused.lock().unwrap() += 1;
            refusal.clone()
        };
        tasks.spawn(change(limiter.clone(), user % 2 + 1, user, discord));
    }
    timeout(Duration::from_hours(1), tasks.join_all()).await.unwrap();
    let refused = *refused.lock().unwrap();
    (refused, limiter.stats().invalid_requests)
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_longer_than_was_said_is_tried_by_one_request_at_a_time() {
    let page = reqwest::header::HeaderMap::from_iter([(
        reqwest::header::RETRY_AFTER,
        reqwest::header::HeaderValue::from_static("3"),
    )]);
    let edge = Answer::new(429, &page, b"<html>Error 1015</html>");
    // Two that go out before the first answer, then one every three seconds.
    assert_eq!(storm(edge).await, (21, 21));
    let global = answer(429, &[("x-ratelimit-scope", "global"), ("retry-after", "3")]);
    assert_eq!(storm(global).await, (21, 21));
}

#[tokio::test(start_paused = true)]
async fn a_shared_limit_may_go_on_for_long_and_is_never_counted_towards_the_ban() {
    let shared = answer(429, &[("x-ratelimit-scope", "shared"), ("retry-after", "3")]);
    // Each server has its own.
    assert_eq!(storm(shared).await, (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_discord_that_differs_from_ours_does_not_matter() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    for reset in ["0", "99999999999.000", "not a number"] {
        let permit = limiter.acquire(&route, Lane::Now).await.unwrap();
        let granted = Instant::now();
        permit.complete(&answer(
            204,
            &[
                ("x-ratelimit-bucket", "a1b2"),
                ("x-ratelimit-limit", "1"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", reset),
                ("x-ratelimit-reset-after", "4.000"),
            ],
        ));
        limiter.acquire(&route, Lane::Now).await.unwrap().cancel();
        let waited = granted.elapsed();
        assert!(
            (4_000..4_010).contains(&waited.as_millis()),
            "waited {waited:?} with a reset at {reset}"
        );
    }
}
