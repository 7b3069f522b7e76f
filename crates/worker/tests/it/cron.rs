//! Recurring jobs: each tick is run once over all workers, and by hand at any time.

use std::sync::Arc;

use chrono::TimeDelta;
use rolecall_db::cron_runs::{find_run, insert_manual_run, insert_tick};
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{JobError, Queue, jobs::RunCron};
use rolecall_sandbox::stripe::faults::FaultKind;
use rolecall_worker::{
    cron::{self, ticker},
    handlers::run_cron,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{World, plans::COUNCIL, soon, until};

impl World {
    /// Staff asks for a run by hand.
    async fn request(&self, job: &str) -> RunCron {
        let run_id = uuid_v7(self.now(), &*self.rng);
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_manual_run(&mut tx, run_id, job, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        RunCron {
            job: job.to_owned(),
            run_id,
            requested_at: self.now(),
        }
    }

    async fn run_by_hand(&self, args: RunCron) -> Result<(), JobError> {
        run_cron::run(Arc::clone(&self.worker), args, self.attempt()).await
    }

    async fn run_state(&self, id: Uuid) -> (String, String) {
        let mut tx = self.worker.db.begin().await.unwrap();
        let run = find_run(&mut tx, id).await.unwrap().unwrap();
        (run.state, run.outcome.unwrap_or_default())
    }

    /// Waits until so many runs of `due_sweep` have ended, and returns all.
    async fn finished_sweeps(&self, count: usize) -> Vec<Value> {
        let sql = "SELECT to_jsonb(t) FROM cron_runs t WHERE job = 'due_sweep' ORDER BY scheduled_for";
        let finished = |rows: &[Value]| {
            rows.iter()
                .filter(|row| row["finished_at"] != Value::Null)
                .count()
        };
        until(async || finished(&self.rows(sql).await) >= count).await;
        self.rows(sql).await
    }
}

#[tokio::test]
async fn ten_workers_run_each_tick_once() {
    let world = World::start().await;
    // A message that stays overdue: every run sends one hint for it.
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    world.redis.flush().await;
    world.advance(TimeDelta::hours(1));

    let stop = CancellationToken::new();
    let mut tickers = JoinSet::new();
    for n in 0..10 {
        let ctx = Arc::new(world.another_worker(&format!("worker-{n}")));
        tickers.spawn(ticker::run(ctx, stop.clone()));
    }
    // They look at the clock before it moves on.
    tokio::task::yield_now().await;
    for tick in 1..=3 {
        world.advance(TimeDelta::seconds(10));
        assert_eq!(world.finished_sweeps(tick).await.len(), tick);
    }
    // Time for all of them to look at the last tick.
    stop.cancel();
    soon(tickers.join_all()).await;
    let runs = world.finished_sweeps(3).await;
    assert_eq!(runs.len(), 3);
    assert!(
        runs.iter()
            .all(|run| run["state"] == "succeeded" && run["manual"] == false),
        "{runs:?}"
    );
    let hints = world.redis.take(Queue::Jobs).await;
    assert_eq!(
        hints.iter().filter(|job| job.kind == "send_notification").count(),
        3,
        "runs that had an effect"
    );
}

#[tokio::test]
async fn a_restart_is_no_reason_to_run() {
    let world = World::start().await;
    let stop = CancellationToken::new();
    let mut tickers = JoinSet::new();
    tickers.spawn(ticker::run(Arc::clone(&world.worker), stop.clone()));
    tokio::task::yield_now().await;
    world.advance(TimeDelta::seconds(10));
    let runs = world.finished_sweeps(1).await;
    stop.cancel();
    soon(tickers.join_all()).await;
    assert_eq!(runs.len(), 1, "the tick before the start was run too: {runs:?}");
}

#[tokio::test]
async fn a_run_by_hand_runs_although_the_tick_of_that_moment_ran() {
    let world = World::start().await;
    let job = cron::find("due_sweep").unwrap();
    let tick = job.tick_before(world.now());
    world.advance(tick + job.every - world.now());
    let mut tx = world.worker.db.begin().await.unwrap();
    let id = uuid_v7(world.now(), &*world.rng);
    assert!(
        insert_tick(&mut tx, id, job.name, world.now(), "worker-0", world.now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    cron::run_and_note(&world.worker, job, id).await.unwrap();
    let request = world.request("due_sweep").await;
    world.run_by_hand(request.clone()).await.unwrap();
    let (state, outcome) = world.run_state(request.run_id).await;
    assert_eq!(state, "succeeded");
    assert!(outcome.contains("people converged"), "{outcome}");
}

#[tokio::test]
async fn a_request_that_is_delivered_twice_runs_once() {
    let world = World::start().await;
    let request = world.request("grace_expiry").await;
    world.run_by_hand(request.clone()).await.unwrap();
    let first = world.rows("SELECT to_jsonb(t) FROM cron_runs t").await;
    world.advance(TimeDelta::seconds(5));
    world.run_by_hand(request).await.unwrap();
    assert_eq!(world.rows("SELECT to_jsonb(t) FROM cron_runs t").await, first);
}

#[tokio::test]
async fn a_job_that_fails_is_noted_as_failed_and_the_next_run_is_the_retry() {
    let world = World::start().await;
    world.fault(
        "/v1/prices",
        1,
        FaultKind::Status {
            status: 500,
            retry_after: None,
            applied: false,
        },
    );
    let request = world.request("due_sweep").await;
    world.run_by_hand(request.clone()).await.unwrap();
    let (state, outcome) = world.run_state(request.run_id).await;
    assert_eq!(state, "failed");
    assert!(outcome.contains("500"), "{outcome}");
    world.cron("due_sweep").await;
}

#[tokio::test]
async fn a_job_that_nobody_knows_is_given_up_with_the_names_there_are() {
    let world = World::start().await;
    let request = RunCron {
        job: "coffee".to_owned(),
        run_id: Uuid::nil(),
        requested_at: world.now(),
    };
    match world.run_by_hand(request).await {
        Err(JobError::Cancel(error)) => assert!(error.to_string().contains("grace_expiry"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn grace_expiry_converges_only_those_whose_time_has_come() {
    let world = World::start().await;
    let (_, late) = world.council_member().await;
    world.council_member().await;
    world.stripe.fail_payment(&late).unwrap();
    world.follow().await;
    assert_eq!(world.cron("grace_expiry").await, "0 people converged");
    world.advance(TimeDelta::days(7));
    assert_eq!(world.cron("grace_expiry").await, "1 people converged");
    assert_eq!(world.cron("grace_expiry").await, "0 people converged");
}

#[tokio::test]
async fn a_run_by_hand_whose_worker_stops_is_done_by_another() {
    let world = World::start().await;
    let stopping = Arc::new(world.another_worker("worker-stopping"));
    world.fault("/v1/events", 1, FaultKind::Hang { applied: false });
    let args = world.request("stripe_events_sweep").await;
    let running = run_cron::run(Arc::clone(&stopping), args.clone(), world.attempt());
    stopping.stop.cancel();
    let result = soon(running).await;
    assert!(matches!(result, Err(JobError::Snooze(_))), "{result:?}");
    assert_eq!(world.run_state(args.run_id).await.0, "running");
    world.run_by_hand(args.clone()).await.unwrap();
    assert_eq!(world.run_state(args.run_id).await.0, "succeeded");
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_does_not_wait_for_the_end_of_a_long_job() {
    let world = World::start().await;
    let ctx = Arc::new(world.another_worker("worker-stopping"));
    world.fault("/v1/events", 9, FaultKind::Hang { applied: false });
    let mut tickers = JoinSet::new();
    tickers.spawn(ticker::run(Arc::clone(&ctx), ctx.stop.clone()));
    tokio::task::yield_now().await;
    world.advance(TimeDelta::minutes(5));
    let runs = "SELECT to_jsonb(t) FROM cron_runs t WHERE job = 'stripe_events_sweep'";
    until(async || !world.rows(runs).await.is_empty()).await;
    ctx.stop.cancel();
    soon(tickers.join_all()).await;
    let rows = world.rows(runs).await;
    assert_eq!((rows.len(), &rows[0]["state"]), (1, &json!("failed")), "{rows:?}");
    assert!(
        rows[0]["outcome"].as_str().unwrap().contains("interrupted"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_stop_the_jobs() {
    let world = World::start().await;
    let job = cron::find("due_sweep").unwrap();
    let tick = job.tick_before(world.now()) + job.every;
    // It was this tick before, an hour ago by the world's time and an hour from now by the clock.
    let mut tx = world.worker.db.begin().await.unwrap();
    let id = uuid_v7(world.now(), &*world.rng);
    let then = world.now() + TimeDelta::hours(1);
    assert!(
        insert_tick(&mut tx, id, job.name, tick, "worker-0", then)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let stop = CancellationToken::new();
    let mut tickers = JoinSet::new();
    tickers.spawn(ticker::run(Arc::clone(&world.worker), stop.clone()));
    tokio::task::yield_now().await;
    world.advance(tick - world.now());
    let runs = world.finished_sweeps(1).await;
    stop.cancel();
    soon(tickers.join_all()).await;
    assert_eq!(
        (runs.len(), &runs[0]["state"]),
        (1, &json!("succeeded")),
        "{runs:?}"
    );
    // Who ran it first has nothing to note any more.
    cron::run_and_note(&world.worker, job, id).await.unwrap();
    assert_eq!(world.finished_sweeps(1).await, runs);
}
