//! The limiter as its callers see it, in paused time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, advance, sleep, timeout},
};

use crate::limiter::{
    Lane, LimitScope, Limiter, Limits, Route, Snapshot,
    model::{Model, Rules, answer, role_route},
};

const GUARD: Duration = Duration::from_mins(10);

fn wall() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn rules(limit: u32, window: Duration) -> Rules {
    Rules {
        limit,
        window,
        aligned: false,
    }
}

/// Tells the limiter of a bucket by one answered request.
async fn learn(limiter: &Limiter, route: &Route, limit: &str, remaining: &str, reset_after: &str) {
    let permit = limiter.acquire(route, Lane::Now).await.unwrap();
    permit.complete(&answer(
        204,
        &[
            ("x-ratelimit-bucket", "a1b2"),
            ("x-ratelimit-limit", limit),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset-after", reset_after),
        ],
    ));
}

async fn is_free(limiter: &Limiter, route: &Route) -> bool {
    timeout(Duration::from_millis(1), limiter.acquire(route, Lane::Now))
        .await
        .is_ok()
}

/// How long `count` role changes in one guild take with `leg` of travel each way, none answered 429.
async fn sweep(count: u64, rules: Rules, leg: Duration) -> Duration {
    let (limiter, model) = (Limiter::default(), Model::new(rules));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for user in 1..=count {
        let (limiter, model) = (limiter.clone(), Arc::clone(&model));
        tasks.spawn(async move {
            let permit = limiter.acquire(&role_route(1, user), Lane::Bulk).await.unwrap();
            sleep(leg).await;
            let answer = model.lock().unwrap().handle("1");
            sleep(leg).await;
            permit.complete(&answer);
        });
    }
    timeout(Duration::from_hours(1), tasks.join_all()).await.unwrap();
    assert_eq!(model.lock().unwrap().refused, 0);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn forty_role_changes_take_the_least_time_and_no_429() {
    let leg = Duration::from_millis(40);
    let took = sweep(40, rules(10, Duration::from_secs(2)), leg).await;
    let least = Duration::from_secs(6) + leg * 2;
    assert!(
        took <= least.mul_f64(1.05),
        "took {took:?}, the least is {least:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_role_changes_take_at_most_a_fortieth_more_than_the_least_time() {
    for (window, leg) in [(Duration::from_secs(10), 60), (Duration::from_secs(1), 5)] {
        let leg = Duration::from_millis(leg);
        let took = sweep(1000, rules(10, window), leg).await;
        let least = window * 99 + leg * 2;
        assert!(
            took <= least.mul_f64(1.025),
            "took {took:?}, the least is {least:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_now_go_before_bulk_whatever_came_first() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    learn(&limiter, &route, "1", "0", "1.000").await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (name, lane) in [
        ("bulk 1", Lane::Bulk),
        ("bulk 2", Lane::Bulk),
        ("now 1", Lane::Now),
        ("now 2", Lane::Now),
    ] {
        let (limiter, route, order) = (limiter.clone(), route.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            learn_in(&limiter, &route, lane).await;
            order.lock().unwrap().push(name);
        });
        yield_now().await;
    }
    timeout(GUARD, tasks.join_all()).await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["now 1", "now 2", "bulk 1", "bulk 2"]);
}

async fn learn_in(limiter: &Limiter, route: &Route, lane: Lane) {
    let permit = limiter.acquire(route, lane).await.unwrap();
    permit.complete(&answer(
        204,
        &[
            ("x-ratelimit-bucket", "a1b2"),
            ("x-ratelimit-limit", "1"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset-after", "1.000"),
        ],
    ));
}

#[tokio::test(start_paused = true)]
async fn the_now_lane_is_first_for_the_global_limit_too() {
    let limiter = Limiter::new(Limits {
        requests_per_second: 1,
        ..Limits::default()
    });
    let held = limiter.acquire(&role_route(1, 1), Lane::Bulk).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    for (guild, lane) in [(2, Lane::Bulk), (3, Lane::Now)] {
        let (limiter, order) = (limiter.clone(), Arc::clone(&order));
        tasks.spawn(async move {
            let permit = limiter.acquire(&role_route(guild, 1), lane).await.unwrap();
            order.lock().unwrap().push(lane);
            permit.complete(&answer(204, &[]));
        });
        yield_now().await;
    }
    held.complete(&answer(204, &[]));
    timeout(GUARD, tasks.join_all()).await.unwrap();
    assert_eq!(*order.lock().unwrap(), [Lane::Now, Lane::Bulk]);
}

#[tokio::test(start_paused = true)]
async fn no_second_sees_more_than_fifty_requests_over_all_guilds() {
    let (limiter, model) = (
        Limiter::default(),
        Model::new(rules(1000, Duration::from_secs(1))),
    );
    let mut tasks = JoinSet::new();
    for user in 1..=200 {
        let (limiter, model) = (limiter.clone(), Arc::clone(&model));
        tasks.spawn(async move {
            let permit = limiter
                .acquire(&role_route(user % 7 + 1, user), Lane::Bulk)
                .await
                .unwrap();
            // Uneven ways: some requests catch up with earlier ones.
            sleep(Duration::from_millis(user * 37 % 300)).await;
            let answer = model.lock().unwrap().handle("any");
            permit.complete(&answer);
        });
    }
    timeout(GUARD, tasks.join_all()).await.unwrap();
    let busiest = model.lock().unwrap().busiest_second;
    assert!((45..=50).contains(&busiest), "{busiest} requests in one second");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_does_not_block_the_next() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    let probe = limiter.acquire(&route, Lane::Now).await.unwrap();
    let mut first = Box::pin(limiter.acquire(&route, Lane::Now));
    assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
    let second = limiter.clone();
    let second_route = route.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { second.acquire(&second_route, Lane::Now).await.is_ok() });
    yield_now().await;
    // The first is granted its place, and is dropped before it looks.
    probe.complete(&answer(502, &[]));
    drop(first);
    assert_eq!(timeout(GUARD, tasks.join_all()).await.unwrap(), [true]);
    assert_eq!(limiter.stats().waiting_now, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_counts_as_sent() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    learn(&limiter, &route, "3", "2", "10.000").await;
    drop(limiter.acquire(&route, Lane::Now).await.unwrap());
    drop(limiter.acquire(&route, Lane::Now).await.unwrap());
    assert!(!is_free(&limiter, &route).await);
    advance(Duration::from_secs(11)).await;
    assert!(is_free(&limiter, &route).await);
    assert_eq!(limiter.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_permit_costs_nothing() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    learn(&limiter, &route, "2", "1", "10.000").await;
    for _ in 0..5 {
        limiter.acquire(&route, Lane::Now).await.unwrap().cancel();
    }
    assert!(is_free(&limiter, &route).await);
    assert_eq!(limiter.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_that_wait_follow_their_bucket_when_it_turns_out_to_be_another() {
    let limiter = Limiter::default();
    let (put, delete) = (
        role_route(1, 1),
        Route::new("DELETE", "guilds/1/members/1/roles/1"),
    );
    learn(&limiter, &put, "2", "2", "10.000").await;
    let probe = limiter.acquire(&delete, Lane::Now).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..2 {
        let (limiter, delete) = (limiter.clone(), delete.clone());
        waiting.spawn(async move { limiter.acquire(&delete, Lane::Bulk).await.map(drop) });
        yield_now().await;
    }
    let name = ("x-ratelimit-bucket", "a1b2");
    let left = [
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "1"),
        ("x-ratelimit-reset-after", "9.900"),
    ];
    probe.complete(&answer(204, &[&[name], left.as_slice()].concat()));
    let start = Instant::now();
    assert!(
        timeout(GUARD, waiting.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .is_ok()
    );
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "one was left in the shared bucket"
    );
    assert!(
        timeout(GUARD, waiting.join_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .is_ok()
    );
    assert!(
        start.elapsed() > Duration::from_secs(9),
        "the second had to wait for the shared bucket"
    );
}

#[tokio::test(start_paused = true)]
async fn routes_that_share_a_bucket_share_what_is_left() {
    let limiter = Limiter::default();
    let (put, delete) = (
        role_route(1, 1),
        Route::new("DELETE", "guilds/1/members/1/roles/1"),
    );
    learn(&limiter, &put, "10", "5", "10.000").await;
    learn(&limiter, &delete, "10", "0", "10.000").await;
    assert!(!is_free(&limiter, &put).await, "the other route had used it up");
    assert!(
        is_free(&limiter, &role_route(2, 1)).await,
        "another guild has its own"
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_to_stop_everything_is_obeyed() {
    let limiter = Limiter::default();
    let permit = limiter.acquire(&role_route(1, 1), Lane::Now).await.unwrap();
    let refusal = answer(429, &[("retry-after", "5")]);
    assert_eq!(refusal.limited().unwrap().scope, LimitScope::Edge);
    permit.complete(&refusal);
    assert!(!is_free(&limiter, &role_route(2, 1)).await);
    assert_eq!(limiter.stats().rate_limited, 1);
    assert!(limiter.stats().held_for.unwrap() > Duration::from_secs(4));
    advance(Duration::from_secs(5)).await;
    assert!(is_free(&limiter, &role_route(2, 1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_shared_429_holds_its_bucket_only_and_is_not_counted() {
    let limiter = Limiter::default();
    let permit = limiter.acquire(&role_route(1, 1), Lane::Now).await.unwrap();
    permit.complete(&answer(
        429,
        &[("x-ratelimit-scope", "shared"), ("retry-after", "5")],
    ));
    assert!(!is_free(&limiter, &role_route(1, 2)).await);
    assert!(is_free(&limiter, &role_route(2, 1)).await);
    assert_eq!(limiter.stats().invalid_requests, 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_stop_bulk_first_and_then_everything_even_those_who_wait() {
    let limiter = Limiter::new(Limits {
        invalid_requests: 10,
        ..Limits::default()
    });
    let route = role_route(1, 1);
    let mut waiting = JoinSet::new();
    for refused in 1..=8_u32 {
        let permit = limiter.acquire(&route, Lane::Now).await.unwrap();
        if refused == 5 {
            let (limiter, route) = (limiter.clone(), route.clone());
            waiting.spawn(async move { limiter.acquire(&route, Lane::Bulk).await.map(drop) });
            yield_now().await;
        }
        permit.complete(&answer(403, &[]));
    }
    let bulk = timeout(GUARD, waiting.join_all()).await.unwrap();
    assert_eq!(bulk[0].clone().unwrap_err().spent, 5);
    let refusal = limiter.acquire(&route, Lane::Now).await.unwrap_err();
    assert_eq!(refusal.spent, 8);
    advance(refusal.retry_after).await;
    assert!(limiter.acquire(&route, Lane::Now).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_what_was_learned() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    learn(&limiter, &route, "10", "0", "8.000").await;
    limiter
        .acquire(&role_route(2, 1), Lane::Now)
        .await
        .unwrap()
        .complete(&answer(403, &[]));

    let json = serde_json::to_string(&limiter.snapshot(wall())).unwrap();
    advance(Duration::from_secs(3)).await;
    let restarted = Limiter::default();
    let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
    restarted.restore(&snapshot, wall() + TimeDelta::seconds(3));

    assert_eq!(restarted.stats().invalid_requests, 1);
    assert_eq!(restarted.rate(&route).unwrap().limit, 10);
    let waited = Instant::now();
    let probe = restarted.acquire(&route, Lane::Bulk).await.unwrap();
    assert!(
        waited.elapsed() >= Duration::from_secs(5),
        "went after {:?}",
        waited.elapsed()
    );
    assert!(
        !is_free(&restarted, &route).await,
        "the first request after a restart goes alone"
    );
    drop(probe);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_of_long_ago_or_of_a_wrong_clock_holds_nobody_for_long() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    learn(&limiter, &route, "10", "0", "8.000").await;
    let snapshot = limiter.snapshot(wall());
    for restored_at in [
        wall() + TimeDelta::days(3),
        wall() - TimeDelta::hours(5),
        wall() - TimeDelta::days(400),
    ] {
        let restarted = Limiter::default();
        restarted.restore(&snapshot, restored_at);
        let waited = Instant::now();
        drop(restarted.acquire(&route, Lane::Now).await.unwrap());
        assert!(
            waited.elapsed() <= Duration::from_secs(9),
            "waited {:?}",
            waited.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_never_contains_interaction_tokens() {
    let limiter = Limiter::default();
    let route = Route::new("POST", "interactions/1/aSecretToken/callback");
    learn(&limiter, &route, "5", "4", "1.000").await;
    let json = serde_json::to_string(&limiter.snapshot(wall())).unwrap();
    assert!(
        !json.contains("aSecretToken") && !json.contains("interactions"),
        "{json}"
    );
}

#[tokio::test(start_paused = true)]
async fn thousands_of_interactions_do_not_fill_the_memory() {
    let limiter = Limiter::default();
    for number in 0..3000 {
        let route = Route::new("POST", &format!("interactions/{number}/t{number}/callback"));
        learn(&limiter, &route, "5", "4", "0.001").await;
        advance(Duration::from_millis(10)).await;
    }
    assert!(
        limiter.lock().buckets.len() <= 600,
        "{} buckets",
        limiter.lock().buckets.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_rate_tells_how_long_a_sweep_takes() {
    let limiter = Limiter::default();
    let route = role_route(1, 1);
    assert_eq!(limiter.rate(&route), None);
    learn(&limiter, &route, "10", "9", "10.000").await;
    let rate = limiter.rate(&route).unwrap();
    assert_eq!(rate.time_for(412), Duration::from_secs(410));
    assert_eq!(rate.time_for(10), Duration::ZERO);
    assert_eq!(rate.time_for(0), Duration::ZERO);
}
