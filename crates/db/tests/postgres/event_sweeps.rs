//! `event_sweeps`: what Stripe lists is compared with the inbox, and how far is noted.

use std::collections::BTreeSet;

use rolecall_db::{
    Transaction,
    event_sweeps::{find_swept_to, insert_missing_events, list_known_events, set_swept_to},
    inbox::{InboxState, NewInboxEvent, find_event, find_seen},
    inbox_line::set_events_finished,
};
use rolecall_domain::ids::StripeEventId;
use serde_json::value::RawValue;

use crate::support::{TestDb, at, at_once, parse};

/// With spaces and an order of keys that must survive.
fn body(id: &str) -> Box<RawValue> {
    RawValue::from_string(format!(
        r#"{{"id": "{id}",  "b":1.0, "a": "\u00e9\u0000,{{}}\""}}"#
    ))
    .unwrap()
}

async fn take_in(tx: &mut Transaction, ids: &[&str], livemode: bool, seconds: i64) -> BTreeSet<String> {
    let ids: Vec<StripeEventId> = ids.iter().map(|id| parse(id)).collect();
    let bodies: Vec<_> = ids.iter().map(|id| body(id.as_str())).collect();
    let events: Vec<NewInboxEvent<'_>> = ids
        .iter()
        .zip(&bodies)
        .map(|(id, payload)| NewInboxEvent {
            id,
            kind: "invoice.paid",
            livemode,
            occurred_at: at(seconds),
            payload,
            next_attempt_at: at(60),
        })
        .collect();
    let taken = insert_missing_events(tx, &events).await.unwrap();
    taken.iter().map(|id| id.as_str().to_owned()).collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn a_mode_is_swept_by_itself_and_never_back() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    assert_eq!(find_swept_to(&mut tx, false).await.unwrap(), None);
    set_swept_to(&mut tx, false, at(10)).await.unwrap();
    set_swept_to(&mut tx, true, at(99)).await.unwrap();
    set_swept_to(&mut tx, false, at(20)).await.unwrap();
    set_swept_to(&mut tx, false, at(15)).await.unwrap();
    assert_eq!(find_swept_to(&mut tx, false).await.unwrap(), Some(at(20)));
    assert_eq!(find_swept_to(&mut tx, true).await.unwrap(), Some(at(99)));
}

#[tokio::test]
async fn only_what_is_missing_is_taken_in_and_word_for_word() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    assert_eq!(take_in(&mut tx, &["evt_2"], false, 1).await, set(&["evt_2"]));
    set_events_finished(&mut tx, &[&parse("evt_2")], InboxState::Done, at(5))
        .await
        .unwrap();
    let (one, two, three) = (parse("evt_1"), parse("evt_2"), parse("evt_3"));
    let known = list_known_events(&mut tx, &[&one, &two, &three]).await.unwrap();
    assert_eq!(known, [parse("evt_2")]);
    assert_eq!(
        take_in(&mut tx, &["evt_1", "evt_2", "evt_3"], false, 2).await,
        set(&["evt_1", "evt_3"])
    );
    let seen = find_seen(&mut tx, &parse("evt_2")).await.unwrap().unwrap();
    assert_eq!(seen.state, InboxState::Done, "what is done stays done");
    for id in ["evt_1", "evt_3"] {
        let event = find_event(&mut tx, &parse(id)).await.unwrap().unwrap();
        assert_eq!(event.payload.get(), body(id).get());
        assert_eq!((event.kind.as_str(), event.occurred_at), ("invoice.paid", at(2)));
        let seen = find_seen(&mut tx, &parse(id)).await.unwrap().unwrap();
        assert_eq!(seen.state, InboxState::Pending);
    }
    assert_eq!(take_in(&mut tx, &[], false, 2).await, set(&[]));
    assert_eq!(list_known_events(&mut tx, &[]).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sweeps_at_once_each_event_is_taken_in_by_one() {
    let db = TestDb::new().await;
    let taken = at_once(8, |task| {
        let database = db.database();
        async move {
            let mut ids: Vec<String> = (0..50).map(|n| format!("evt_{n}")).collect();
            // Each in another order: they must not wait for each other in a circle.
            ids.rotate_left(usize::try_from(task).unwrap() * 6);
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mut tx = database.begin().await.unwrap();
            let taken = take_in(&mut tx, &ids, false, 1).await;
            tx.commit().await.unwrap();
            taken
        }
    });
    let taken: Vec<String> = taken.await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 50);
    assert_eq!(BTreeSet::from_iter(taken).len(), 50);
}
