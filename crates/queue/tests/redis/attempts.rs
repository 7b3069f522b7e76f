//! What becomes of a job that does not just succeed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolecall_domain::clock::Clock;
use rolecall_queue::{Attempt, Envelope, JobError, Registry};
use tokio::sync::mpsc;

use crate::support::{Hasty, Probe, Rig, quick, soon, until};

/// Runs a probe with a handler that fails in the given way, and returns what it was told.
async fn fail_with(
    rig: &Rig,
    failure: impl Fn(&Attempt) -> Result<(), JobError> + Send + Sync + 'static,
) -> mpsc::UnboundedReceiver<Attempt> {
    let (attempts, heard) = mpsc::unbounded_channel();
    let worker = rig.work("a", quick(), move |_, attempt| {
        let result = failure(&attempt);
        attempts.send(attempt).unwrap();
        std::future::ready(result)
    });
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    // It runs until the test ends.
    std::mem::forget(worker);
    heard
}

#[tokio::test]
async fn a_failed_job_is_retried_on_schedule_and_dies_after_its_last_attempt() {
    let rig = Rig::start().await;
    let start = rig.clock.now();
    let mut heard = fail_with(&rig, |_| Err(JobError::retry("no luck"))).await;
    for (current, redelivered) in [(1, false), (2, true), (3, true)] {
        let attempt = soon(heard.recv()).await.unwrap();
        assert_eq!((attempt.current, attempt.redelivered), (current, redelivered));
        assert_eq!(attempt.is_last(), current == 3);
    }
    assert!(rig.clock.now() - start >= chrono::TimeDelta::milliseconds(20 + 40));

    let dead = rig.a_dead_job().await;
    assert_eq!(
        (dead.attempts, dead.reason.as_str(), dead.kind.as_deref()),
        (3, "no luck", Some("probe"))
    );
    assert_eq!(
        Envelope::decode(dead.envelope.as_bytes()).unwrap().args.get(),
        r#"{"n":1,"dedup":null}"#
    );
    assert!(dead.died_at.unwrap() >= start);
    let stats = rig.stats().await;
    assert_eq!(
        (stats.depth, stats.pending, stats.delayed, stats.dead),
        (0, 0, 0, 1)
    );
}

#[tokio::test]
async fn somebody_who_says_when_to_come_back_is_heeded() {
    let rig = Rig::start().await;
    let start = rig.clock.now();
    let mut heard = fail_with(&rig, |attempt| match attempt.current {
        1 => Err(JobError::retry_after(Duration::from_millis(250), "429")),
        _ => Ok(()),
    })
    .await;
    soon(heard.recv()).await.unwrap();
    assert_eq!(soon(heard.recv()).await.unwrap().current, 2);
    assert!(rig.clock.now() - start >= chrono::TimeDelta::milliseconds(250));
}

#[tokio::test]
async fn a_cancelled_job_dies_at_once() {
    let rig = Rig::start().await;
    let mut heard = fail_with(&rig, |_| Err(JobError::cancel("pointless"))).await;
    soon(heard.recv()).await.unwrap();
    let dead = rig.a_dead_job().await;
    assert_eq!((dead.attempts, dead.reason.as_str()), (1, "pointless"));
}

#[tokio::test]
async fn snoozing_spends_no_attempt() {
    let rig = Rig::start().await;
    let snoozes = std::sync::atomic::AtomicU32::new(0);
    let mut heard = fail_with(&rig, move |_| match snoozes.fetch_add(1, Ordering::Relaxed) {
        0..5 => Err(JobError::Snooze(Duration::from_millis(1))),
        _ => Err(JobError::cancel("enough")),
    })
    .await;
    for run in 0..6 {
        let attempt = soon(heard.recv()).await.unwrap();
        assert_eq!((attempt.current, attempt.redelivered), (1, run > 0));
    }
    assert_eq!(rig.a_dead_job().await.attempts, 1);
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt_and_harms_no_other_job() {
    let rig = Rig::start().await;
    let (done, mut heard) = mpsc::unbounded_channel();
    let _worker = rig.work("a", quick(), move |probe, attempt| {
        assert!(probe.n != 1, "on purpose");
        done.send(attempt).unwrap();
        std::future::ready(Ok(()))
    });
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();
    let dead = rig.a_dead_job().await;
    assert_eq!((dead.attempts, dead.reason.as_str()), (3, "panicked: on purpose"));
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_stopped_and_repeated() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let rig = Rig::start().await;
    let dropped = Arc::new(AtomicBool::new(false));
    let in_handler = Arc::clone(&dropped);
    let registry = Registry::new().handle(move |_: Arc<()>, _: Hasty, _| {
        let guard = Dropped(Arc::clone(&in_handler));
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(())
        }
    });
    let _worker = rig.work_with("a", quick(), registry);
    rig.producer.push(&Hasty {}, rig.push()).await.unwrap();
    let dead = rig.a_dead_job().await;
    assert_eq!((dead.attempts, dead.reason.as_str()), (2, "timed out after 50ms"));
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test]
async fn what_cannot_be_run_dies_with_the_reason_and_holds_up_nothing() {
    let rig = Rig::start().await;
    let id = rig.push().id.to_string();
    let envelope = |v: u32, kind: &str, args: &str| {
        format!(
            r#"{{"v":{v},"id":"{id}","kind":"{kind}","enqueued_at":"2026-11-21T00:00:00Z","args":{args}}}"#
        )
    };
    let bad = [
        ("job", "nonsense".to_owned(), "the envelope cannot be read"),
        ("job", envelope(2, "probe", "{}"), "the envelope has version 2"),
        (
            "job",
            envelope(1, "unheard_of", "{}"),
            "no handler for kind \"unheard_of\"",
        ),
        (
            "job",
            envelope(1, "probe", r#"{"n":"x"}"#),
            "the arguments cannot be read",
        ),
        ("other", "field".to_owned(), "the envelope cannot be read"),
    ];
    for (field, value, _) in &bad {
        let _: String = rig
            .redis(&["XADD", "{test:jobs}:stream", "*", field, value])
            .await;
    }
    let (_worker, mut heard) = rig.report("a", quick());
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    soon(heard.recv()).await.unwrap();

    until(async || rig.stats().await.dead == 5).await;
    let mut dead = rig.dead_jobs().list(None, 10).await.unwrap();
    for (_, value, reason) in &bad {
        let found = dead
            .iter()
            .position(|job| job.reason.starts_with(reason) && job.envelope.contains(value));
        dead.remove(found.unwrap_or_else(|| panic!("{reason} of {value} not in {dead:?}")));
    }
    until(async || rig.stats().await.depth == 0).await;
}

#[tokio::test]
async fn a_member_of_the_delayed_set_that_is_no_job_dies_too() {
    let rig = Rig::start().await;
    let (_worker, _heard) = rig.report("a", quick());
    let _: u32 = rig.redis(&["ZADD", "{test:jobs}:delayed", "0", "scribble"]).await;
    assert_eq!(rig.a_dead_job().await.envelope, "scribble");
}

#[tokio::test]
async fn a_kind_is_run_under_its_former_name() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    let job = format!(
        r#"{{"v":1,"id":"{}","kind":"probe_of_old","enqueued_at":"2026-11-21T00:00:00Z","args":{{"n":4}}}}"#,
        rig.push().id
    );
    let _: String = rig.redis(&["XADD", "{test:jobs}:stream", "*", "job", &job]).await;
    assert_eq!(soon(heard.recv()).await.unwrap().0, Probe::new(4));
}

#[tokio::test]
async fn two_handlers_for_one_kind_are_refused() {
    let rig = Rig::start().await;
    let registry = Registry::new()
        .handle(|_: Arc<()>, _: Probe, _| std::future::ready(Ok(())))
        .handle(|_: Arc<()>, _: Probe, _| std::future::ready(Ok(())));
    let worker = rig.work_with("a", quick(), registry);
    let error = worker.ended().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"two handlers for the kinds ["probe", "probe_of_old"]"#
    );
}
