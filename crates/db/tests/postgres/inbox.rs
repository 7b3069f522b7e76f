//! `inbox`: an event is taken in once, and told how far it is.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Transaction,
    inbox::{InboxState, NewInboxEvent, database_time, find_event, find_seen, insert_event},
};
use serde_json::value::RawValue;

use crate::support::{TestDb, at, at_once, parse};

/// With spaces and an order of keys that must survive.
const BODY: &str = r#"{"id": "evt_1",  "b":1.0, "a": "\u00e9\u0000"}"#;

async fn take_in(tx: &mut Transaction, id: &str, next_attempt_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let payload = RawValue::from_string(BODY.to_owned()).unwrap();
    let event = NewInboxEvent {
        id: &parse(id),
        kind: "invoice.paid",
        livemode: true,
        occurred_at: at(7),
        payload: &payload,
        next_attempt_at,
    };
    insert_event(tx, &event).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_parallel_transactions_one_takes_the_event_in() {
    let db = TestDb::new().await;
    let seen = at_once(20, |_| {
        let database = db.database();
        async move {
            let mut tx = database.begin().await.unwrap();
            let seen_at = take_in(&mut tx, "evt_1", at(60)).await;
            tx.commit().await.unwrap();
            seen_at
        }
    });
    let seen: Vec<_> = seen.await.into_iter().flatten().collect();
    assert_eq!(seen.len(), 1);
    let mut tx = db.begin().await;
    let known = find_seen(&mut tx, &parse("evt_1")).await.unwrap().unwrap();
    assert_eq!((known.seen_at, known.state), (seen[0], InboxState::Pending));
}

#[tokio::test]
async fn an_event_whose_transaction_is_undone_was_never_seen() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    assert!(take_in(&mut tx, "evt_1", at(60)).await.is_some());
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await;
    assert_eq!(find_seen(&mut tx, &parse("evt_1")).await.unwrap(), None);
    assert!(take_in(&mut tx, "evt_1", at(60)).await.is_some());
    drop(tx);
    let mut tx = db.begin().await;
    assert_eq!(
        find_seen(&mut tx, &parse("evt_1")).await.unwrap(),
        None,
        "dropped without a commit"
    );
}

#[tokio::test]
async fn a_body_is_kept_byte_for_byte_beside_its_neighbour() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    take_in(&mut tx, "evt_1", at(60)).await;
    take_in(&mut tx, "evt_2", at(60)).await;
    let event = find_event(&mut tx, &parse("evt_1")).await.unwrap().unwrap();
    assert_eq!(
        (event.id, event.kind.as_str(), event.livemode),
        (parse("evt_1"), "invoice.paid", true)
    );
    assert_eq!((event.occurred_at, event.payload.get()), (at(7), BODY));
    let event = find_event(&mut tx, &parse("evt_2")).await.unwrap().unwrap();
    assert_eq!(event.id, parse("evt_2"));
    assert!(find_event(&mut tx, &parse("evt_3")).await.unwrap().is_none());
    assert!(find_seen(&mut tx, &parse("evt_3")).await.unwrap().is_none());
}

#[tokio::test]
async fn an_event_is_seen_by_the_database_clock_and_before_what_is_read_after_it() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let before = database_time(&mut tx).await.unwrap();
    let seen_at = take_in(&mut tx, "evt_1", at(60)).await.unwrap();
    let after = database_time(&mut tx).await.unwrap();
    // In one transaction: a clock that stands still there would hide a read that came first.
    assert!(before < seen_at && seen_at < after, "{before} {seen_at} {after}");
}
