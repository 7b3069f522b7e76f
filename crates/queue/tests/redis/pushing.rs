//! What a push promises.

use std::time::Duration;

use redis::FromRedisValue;
use rolecall_domain::clock::Clock;
use rolecall_queue::{Pushed, jobs::StripeEvent};
use serde_json::value::RawValue;

use crate::support::{Probe, Rig, quick, soon};

#[tokio::test]
async fn a_second_job_with_the_same_dedup_key_is_dropped() {
    let rig = Rig::start().await;
    let job = Probe {
        n: 1,
        dedup: Some("key".to_owned()),
    };
    assert_eq!(rig.producer.push(&job, rig.push()).await.unwrap(), Pushed::Taken);
    assert_eq!(
        rig.producer.push(&job, rig.push()).await.unwrap(),
        Pushed::Duplicate
    );
    let later = rig.push_after(Duration::from_secs(9));
    assert_eq!(rig.producer.push(&job, later).await.unwrap(), Pushed::Duplicate);
    let other = Probe {
        n: 2,
        dedup: Some("other".to_owned()),
    };
    assert_eq!(
        rig.producer.push(&other, rig.push()).await.unwrap(),
        Pushed::Taken
    );
    let stats = rig.stats().await;
    assert_eq!((stats.depth, stats.delayed), (2, 0));

    let lifetime: i64 = rig.redis(&["PTTL", "{test:jobs}:dedup:key"]).await;
    assert!((590_000..=600_000).contains(&lifetime), "{lifetime}");
}

#[tokio::test]
async fn the_keys_have_the_types_of_the_contract() {
    let rig = Rig::start().await;
    rig.producer
        .push(
            &Probe {
                n: 1,
                dedup: Some("key".to_owned()),
            },
            rig.push(),
        )
        .await
        .unwrap();
    rig.producer
        .push(&Probe::new(2), rig.push_after(Duration::from_mins(1)))
        .await
        .unwrap();
    for (key, expected) in [("stream", "stream"), ("delayed", "zset"), ("dedup:key", "string")] {
        let found: String = rig.redis(&["TYPE", &format!("{{test:jobs}}:{key}")]).await;
        assert_eq!(found, expected, "{key}");
    }
}

#[tokio::test]
async fn a_job_reaches_its_handler_as_it_was_pushed() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    let mut push = rig.push();
    push.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    rig.producer.push(&Probe::new(7), push.clone()).await.unwrap();

    let (probe, attempt) = soon(heard.recv()).await.unwrap();
    assert_eq!(probe, Probe::new(7));
    assert_eq!((attempt.current, attempt.max, attempt.redelivered), (1, 3, false));
    assert_eq!(
        (attempt.job_id, attempt.enqueued_at, attempt.traceparent),
        (push.id, push.now, push.traceparent)
    );
}

#[tokio::test]
async fn a_delayed_job_starts_when_it_is_due_and_not_before() {
    let rig = Rig::start().await;
    let (_worker, mut heard) = rig.report("a", quick());
    let push = rig.push_after(Duration::from_millis(300));
    let due = push.now + Duration::from_millis(300);
    rig.producer.push(&Probe::new(1), push).await.unwrap();

    let (_, attempt) = soon(heard.recv()).await.unwrap();
    let late = rig.clock.now() - due;
    assert!(
        late >= chrono::TimeDelta::zero(),
        "started {late} before it was due"
    );
    assert!(late < chrono::TimeDelta::seconds(1), "started {late} late");
    assert!(!attempt.redelivered);
}

#[tokio::test]
async fn many_jobs_go_in_one_by_one_order_with_duplicates_marked() {
    let rig = Rig::start().await;
    let jobs = (0..1_200).map(|n| {
        (
            Probe {
                n,
                dedup: Some((n % 1_000).to_string()),
            },
            rig.push(),
        )
    });
    let pushed = rig.producer.push_all(jobs).await.unwrap();
    assert!(pushed[..1_000].iter().all(|pushed| *pushed == Pushed::Taken));
    assert_eq!(pushed[1_000..], [Pushed::Duplicate; 200]);
    assert_eq!(rig.stats().await.depth, 1_000);
}

#[tokio::test]
async fn a_large_payload_is_stored_to_the_byte() {
    let rig = Rig::start().await;
    let payload = format!(r#"{{"id": "evt_1",  "filler": "{}"}}"#, "x".repeat(2 << 20));
    let event = StripeEvent {
        event_id: "evt_1".parse().unwrap(),
        event_type: "invoice.paid".to_owned(),
        created: rig.clock.now(),
        livemode: false,
        payload: RawValue::from_string(payload.clone()).unwrap(),
    };
    rig.producer.push(&event, rig.push()).await.unwrap();
    let stored: redis::Value = rig
        .redis(&["XRANGE", "{test:stripe-events}:stream", "-", "+"])
        .await;
    let entries = Vec::<(String, Vec<String>)>::from_redis_value(stored).unwrap();
    assert!(entries[0].1[1].contains(&payload));
}
