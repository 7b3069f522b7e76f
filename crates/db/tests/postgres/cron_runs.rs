//! `cron_runs`: a tick belongs to one worker.

use rolecall_db::{
    Transaction,
    cron_runs::{
        delete_runs_before, find_run, finish_run, insert_manual_run, insert_tick, list_last_runs,
        start_manual_run,
    },
};

use crate::support::{TestDb, at, at_once, uuid};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_workers_exactly_one_gets_a_tick() {
    let db = TestDb::new().await;
    for tick in 0..5 {
        let claims = at_once(10, |worker| {
            let database = db.database();
            async move {
                let mut tx = database.begin().await.unwrap();
                let id = uuid(100 * tick + worker);
                let scheduled_for = at(60 * i64::from(tick));
                let worker = format!("worker-{worker}");
                let ours = insert_tick(&mut tx, id, "due_sweep", scheduled_for, &worker, at(1))
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                ours.then_some(id)
            }
        });
        let winners: Vec<_> = claims.await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "tick {tick}");
        let mut tx = db.begin().await;
        let run = find_run(&mut tx, winners[0]).await.unwrap().unwrap();
        assert_eq!((run.state.as_str(), run.started_at), ("running", Some(at(1))));
    }
}

#[tokio::test]
async fn another_job_another_tick_and_a_run_by_hand_do_not_take_the_claim() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    insert_manual_run(&mut tx, uuid(1), "due_sweep", at(60))
        .await
        .unwrap();
    for (n, job, scheduled_for, ours) in [
        (2, "due_sweep", at(60), true),
        (3, "reconcile", at(60), true),
        (4, "due_sweep", at(120), true),
        (5, "due_sweep", at(60), false),
    ] {
        let claimed = insert_tick(&mut tx, uuid(n), job, scheduled_for, "w", at(0))
            .await
            .unwrap();
        assert_eq!(claimed, ours, "{job} {scheduled_for}");
    }
    insert_manual_run(&mut tx, uuid(6), "due_sweep", at(60))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tick_that_was_run_before_the_clock_was_set_back_is_taken_over() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let claim = async |tx: &mut Transaction, n: u32, now: i64| {
        insert_tick(tx, uuid(n), "reconcile", at(0), "w", at(now))
            .await
            .unwrap()
    };
    assert!(claim(&mut tx, 1, 3_600).await);
    assert!(
        !claim(&mut tx, 2, 3_540).await,
        "the clocks of two workers may differ a little"
    );
    assert!(claim(&mut tx, 3, 3_539).await);
    assert!(!claim(&mut tx, 4, 3_539).await, "and once");
    assert!(
        !finish_run(&mut tx, uuid(1), true, "", at(3_601)).await.unwrap(),
        "it is not theirs any more"
    );
    assert!(
        finish_run(&mut tx, uuid(3), true, "done", at(3_540))
            .await
            .unwrap()
    );
    let run = find_run(&mut tx, uuid(3)).await.unwrap().unwrap();
    assert_eq!(
        (run.state.as_str(), run.started_at, run.finished_at),
        ("succeeded", Some(at(3_539)), Some(at(3_540)))
    );
}

#[tokio::test]
async fn a_run_by_hand_is_started_and_finished_under_its_own_id() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    insert_manual_run(&mut tx, uuid(1), "reconcile", at(0))
        .await
        .unwrap();
    insert_manual_run(&mut tx, uuid(2), "reconcile", at(1))
        .await
        .unwrap();
    assert!(!start_manual_run(&mut tx, uuid(3), "w", at(2)).await.unwrap());
    assert!(start_manual_run(&mut tx, uuid(1), "w", at(2)).await.unwrap());
    // Its worker died: the next attempt starts it again.
    assert!(start_manual_run(&mut tx, uuid(1), "w2", at(3)).await.unwrap());
    finish_run(&mut tx, uuid(1), false, "Stripe is away", at(4))
        .await
        .unwrap();
    assert!(!start_manual_run(&mut tx, uuid(1), "w", at(5)).await.unwrap());

    let run = find_run(&mut tx, uuid(1)).await.unwrap().unwrap();
    assert_eq!(
        (run.id, run.job.as_str(), run.state.as_str()),
        (uuid(1), "reconcile", "failed")
    );
    assert_eq!(
        (run.scheduled_for, run.started_at, run.finished_at),
        (at(0), Some(at(3)), Some(at(4)))
    );
    assert_eq!(run.outcome.as_deref(), Some("Stripe is away"));
    let other = find_run(&mut tx, uuid(2)).await.unwrap().unwrap();
    assert_eq!(
        (other.state.as_str(), other.started_at, other.outcome),
        ("requested", None, None)
    );
    assert_eq!(find_run(&mut tx, uuid(3)).await.unwrap(), None);
    assert!(!finish_run(&mut tx, uuid(3), true, "", at(5)).await.unwrap());
}

#[tokio::test]
async fn the_last_run_of_each_job_is_the_newest_one() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, job, seconds) in [
        (1, "streaks", 60),
        (2, "streaks", 120),
        (3, "points", 30),
        (4, "streaks", 90),
    ] {
        insert_tick(&mut tx, uuid(n), job, at(seconds), "w", at(0))
            .await
            .unwrap();
    }
    let last = list_last_runs(&mut tx).await.unwrap();
    let last: Vec<_> = last.iter().map(|run| (run.job.as_str(), run.id)).collect();
    assert_eq!(last, [("points", uuid(3)), ("streaks", uuid(2))]);
}

#[tokio::test]
async fn runs_that_ended_or_began_in_vain_long_ago_are_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    // The last two never end: their worker died.
    for (n, tick) in [(1, 1), (2, 2), (3, 3), (4, 25)] {
        insert_tick(&mut tx, uuid(n), "points", at(tick), "w", at(0))
            .await
            .unwrap();
    }
    finish_run(&mut tx, uuid(1), true, "", at(10)).await.unwrap();
    finish_run(&mut tx, uuid(2), true, "", at(20)).await.unwrap();
    assert_eq!(delete_runs_before(&mut tx, at(20)).await.unwrap(), 2);
    assert_eq!(find_run(&mut tx, uuid(1)).await.unwrap(), None);
    assert_eq!(
        find_run(&mut tx, uuid(2)).await.unwrap().unwrap().state,
        "succeeded"
    );
    assert_eq!(find_run(&mut tx, uuid(3)).await.unwrap(), None);
    assert!(find_run(&mut tx, uuid(4)).await.unwrap().is_some());
}
