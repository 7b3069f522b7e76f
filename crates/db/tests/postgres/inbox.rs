//! `inbox`: an event is taken in once, and told how far it is.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Transaction,
    inbox::{
        InboxState, NewInboxEvent, claim_overdue_events, database_time, find_event, find_seen, insert_event,
        set_event_failed, set_event_finished,
    },
};
use rolecall_domain::ids::StripeEventId;
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

async fn state(tx: &mut Transaction, id: &str) -> InboxState {
    find_seen(tx, &parse(id)).await.unwrap().unwrap().state
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

#[tokio::test]
async fn an_event_is_finished_alone_and_for_good() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
        take_in(&mut tx, id, at(0)).await;
    }
    set_event_finished(&mut tx, &parse("evt_1"), InboxState::Done, at(1))
        .await
        .unwrap();
    set_event_finished(&mut tx, &parse("evt_2"), InboxState::Ignored, at(1))
        .await
        .unwrap();
    set_event_failed(&mut tx, &parse("evt_3"), "no", true, at(2))
        .await
        .unwrap();
    // An attempt that was slow to fail takes nothing back.
    set_event_failed(&mut tx, &parse("evt_1"), "late", true, at(2))
        .await
        .unwrap();
    for (id, expected) in [
        ("evt_1", InboxState::Done),
        ("evt_2", InboxState::Ignored),
        ("evt_3", InboxState::Dead),
        ("evt_4", InboxState::Pending),
    ] {
        assert_eq!(state(&mut tx, id).await, expected, "{id}");
    }
    let due = claim_overdue_events(&mut tx, at(100), at(200), 10).await.unwrap();
    assert_eq!(due, [parse("evt_4")]);
    set_event_finished(&mut tx, &parse("evt_3"), InboxState::Done, at(3))
        .await
        .unwrap();
    assert_eq!(
        state(&mut tx, "evt_3").await,
        InboxState::Done,
        "a replay may bring the dead back"
    );
    assert!(
        set_event_finished(&mut tx, &parse("evt_9"), InboxState::Done, at(3))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_failed_attempt_is_counted_and_made_again_at_its_time() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    take_in(&mut tx, "evt_1", at(0)).await;
    take_in(&mut tx, "evt_2", at(50)).await;
    set_event_failed(&mut tx, &parse("evt_1"), "once", false, at(10))
        .await
        .unwrap();
    set_event_failed(&mut tx, &parse("evt_1"), "twice", false, at(20))
        .await
        .unwrap();
    let sql = "SELECT attempts, last_error FROM inbox WHERE event_id = $1";
    let row: (i32, Option<String>) = sqlx::query_as(sql)
        .bind("evt_1")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(row, (2, Some("twice".to_owned())));
    let row: (i32, Option<String>) = sqlx::query_as(sql)
        .bind("evt_2")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(row, (0, None));
    assert_eq!(
        claim_overdue_events(&mut tx, at(19), at(90), 10).await.unwrap(),
        []
    );
    assert_eq!(
        claim_overdue_events(&mut tx, at(20), at(90), 10).await.unwrap(),
        [parse("evt_1")]
    );
}

#[tokio::test]
async fn the_longest_overdue_events_are_claimed_first_and_no_more_than_asked_for() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (id, seconds) in [("evt_1", 3), ("evt_2", 1), ("evt_3", 2), ("evt_4", 99)] {
        take_in(&mut tx, id, at(seconds)).await;
    }
    let claimed = claim_overdue_events(&mut tx, at(10), at(20), 2).await.unwrap();
    assert_eq!(
        BTreeSet::from_iter(claimed),
        BTreeSet::from([parse("evt_2"), parse("evt_3")])
    );
    assert_eq!(
        claim_overdue_events(&mut tx, at(10), at(20), 2).await.unwrap(),
        [parse("evt_1")]
    );
    assert_eq!(
        claim_overdue_events(&mut tx, at(10), at(20), 2).await.unwrap(),
        []
    );
    let again = claim_overdue_events(&mut tx, at(20), at(30), 9).await.unwrap();
    assert_eq!(again.len(), 3, "claims that came to nothing are made again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_sweepers_never_claim_the_same_event() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in 0..100 {
        take_in(&mut tx, &format!("evt_{n}"), at(n)).await;
    }
    tx.commit().await.unwrap();
    let claims = at_once(8, |_| {
        let database = db.database();
        async move {
            let mut claimed: Vec<StripeEventId> = Vec::new();
            loop {
                let mut tx = database.begin().await.unwrap();
                let some = claim_overdue_events(&mut tx, at(200), at(300), 7).await.unwrap();
                tx.commit().await.unwrap();
                assert!(some.len() <= 7, "{some:?}");
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some);
            }
        }
    });
    let claimed: Vec<_> = claims.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 100);
    assert_eq!(BTreeSet::from_iter(claimed).len(), 100);
}

#[tokio::test]
async fn a_sweeper_does_not_wait_for_events_that_another_one_holds() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in 0..4 {
        take_in(&mut tx, &format!("evt_{n}"), at(n)).await;
    }
    tx.commit().await.unwrap();
    let (mut one, mut other) = (db.begin().await, db.begin().await);
    let first = claim_overdue_events(&mut one, at(10), at(20), 2).await.unwrap();
    let second = claim_overdue_events(&mut other, at(10), at(20), 9).await.unwrap();
    assert_eq!(
        BTreeSet::from_iter(first),
        BTreeSet::from([parse("evt_0"), parse("evt_1")])
    );
    assert_eq!(
        BTreeSet::from_iter(second),
        BTreeSet::from([parse("evt_2"), parse("evt_3")])
    );
}
