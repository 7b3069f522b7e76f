//! `inbox` as a line of work: many events kept, claimed, held and finished at a time.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Transaction,
    customers::upsert_customer,
    inbox::{InboxState, NewInboxEvent, find_event, find_seen, insert_event},
    inbox_line::{
        Backlog, EventToKeep, From, PendingEvent, claim_pending_event, claim_pending_events, count_backlog,
        hold_events, insert_events, list_last_writes, set_events_failed, set_events_finished,
    },
    subscriptions::insert_subscription,
};
use rolecall_domain::ids::StripeEventId;
use serde_json::{json, value::RawValue};

use crate::support::{TestDb, at, at_once, parse, read, update_subscription};

/// With spaces and an order of keys that must survive.
const BODY: &str = r#"{"id": "evt_1",  "b":1.0, "a": "\u00e9\u0000"}"#;

/// An event that waits from the beginning, held until then.
struct Given {
    id: StripeEventId,
    payload: Box<RawValue>,
    urgent: bool,
    held_until: DateTime<Utc>,
}

impl Given {
    fn new(id: &str, urgent: bool, held: i64) -> Self {
        Self {
            id: parse(id),
            payload: RawValue::from_string(BODY.to_owned()).unwrap(),
            urgent,
            held_until: at(held),
        }
    }

    fn to_keep(&self) -> EventToKeep<'_> {
        EventToKeep {
            id: &self.id,
            kind: "invoice.paid",
            livemode: true,
            occurred_at: at(7),
            payload: &self.payload,
            subject: Some(json!({ "subscriptions": [self.id.as_str()] })),
            urgent: self.urgent,
            state: InboxState::Pending,
            error: None,
            held_until: Some(self.held_until),
        }
    }
}

/// Keeps events, one statement each, so that each is seen later than the one before.
async fn keep(tx: &mut Transaction, events: &[(&str, bool, i64)]) {
    for (id, urgent, held) in events {
        let given = Given::new(id, *urgent, *held);
        insert_events(tx, &[given.to_keep()], at(0)).await.unwrap();
    }
}

async fn state(tx: &mut Transaction, id: &str) -> InboxState {
    find_seen(tx, &parse(id)).await.unwrap().unwrap().state
}

async fn claim(tx: &mut Transaction, from: From, limit: i64) -> BTreeSet<String> {
    names(
        claim_pending_events(tx, from, at(100), at(200), limit)
            .await
            .unwrap(),
    )
}

fn names(events: Vec<PendingEvent>) -> BTreeSet<String> {
    events.into_iter().map(|event| event.id.to_string()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn many_events_are_kept_as_they_are_and_those_that_were_there_are_left_alone() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    keep(&mut tx, &[("evt_2", true, 60)]).await;
    let given = ["evt_3", "evt_2", "evt_1", "evt_3"].map(|id| Given::new(id, false, 60));
    let mut rows: Vec<EventToKeep<'_>> = given.iter().map(Given::to_keep).collect();
    rows[0].state = InboxState::Ignored;
    rows[0].held_until = None;
    rows[2].state = InboxState::Dead;
    rows[2].subject = None;
    rows[2].error = Some("cannot be read");
    rows[2].held_until = None;
    let seen = insert_events(&mut tx, &rows, at(5)).await.unwrap();
    let ids: BTreeSet<String> = seen.iter().map(|(id, _)| id.to_string()).collect();
    assert_eq!(
        ids,
        set(&["evt_1", "evt_3"]),
        "each once, and none that was there"
    );
    for (id, seen_at) in &seen {
        let known = find_seen(&mut tx, id).await.unwrap().unwrap();
        assert_eq!(known.seen_at, *seen_at, "{id}");
    }
    assert_eq!(state(&mut tx, "evt_1").await, InboxState::Dead);
    assert_eq!(state(&mut tx, "evt_2").await, InboxState::Pending);
    assert_eq!(state(&mut tx, "evt_3").await, InboxState::Ignored);
    let event = find_event(&mut tx, &parse("evt_3")).await.unwrap().unwrap();
    assert_eq!(
        (event.kind.as_str(), event.livemode, event.occurred_at),
        ("invoice.paid", true, at(7))
    );
    assert_eq!(event.payload.get(), BODY);
    let sql = "SELECT attempts, last_error, done_at FROM inbox ORDER BY event_id";
    let rows: Vec<(i32, Option<String>, Option<DateTime<Utc>>)> =
        sqlx::query_as(sql).fetch_all(&mut *tx).await.unwrap();
    assert_eq!(
        rows,
        [
            (1, Some("cannot be read".to_owned()), None),
            (0, None, None),
            (0, None, Some(at(5)))
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_workers_keep_the_same_events_once_and_wait_for_each_other_in_no_circle() {
    let db = TestDb::new().await;
    let kept = at_once(8, |n| {
        let database = db.database();
        async move {
            // Every worker has them in another order.
            let mut given: Vec<Given> = (0..40)
                .map(|n| Given::new(&format!("evt_{n}"), false, 60))
                .collect();
            given.rotate_left(usize::try_from(n * 5).unwrap());
            let rows: Vec<EventToKeep<'_>> = given.iter().map(Given::to_keep).collect();
            let mut tx = database.begin().await.unwrap();
            let seen = insert_events(&mut tx, &rows, at(0)).await.unwrap();
            tx.commit().await.unwrap();
            seen
        }
    });
    let kept: Vec<_> = kept.await.into_iter().flatten().map(|(id, _)| id).collect();
    assert_eq!(kept.len(), 40);
    assert_eq!(BTreeSet::from_iter(kept).len(), 40);
}

#[tokio::test]
async fn the_front_is_what_is_urgent_and_new_and_the_back_is_what_waits_longest() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let events = [
        ("evt_1", false, 3),
        ("evt_2", true, 9),
        ("evt_3", false, 1),
        ("evt_4", true, 9),
        ("evt_5", false, 9),
        ("evt_held", true, 101),
    ];
    keep(&mut tx, &events).await;
    assert_eq!(claim(&mut tx, From::Front, 1).await, set(&["evt_4"]));
    assert_eq!(claim(&mut tx, From::Back, 1).await, set(&["evt_3"]));
    assert_eq!(claim(&mut tx, From::Front, 2).await, set(&["evt_2", "evt_5"]));
    assert_eq!(claim(&mut tx, From::Back, 9).await, set(&["evt_1"]));
    assert!(
        claim(&mut tx, From::Front, 9).await.is_empty(),
        "all are somebody's"
    );
    let later = claim_pending_events(&mut tx, From::Front, at(200), at(300), 9)
        .await
        .unwrap();
    assert_eq!(later.len(), 6, "claims that came to nothing are made again");
}

#[tokio::test]
async fn a_claim_tells_what_an_event_concerns_and_its_body_only_where_nobody_has_looked() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    keep(&mut tx, &[("evt_1", true, 0)]).await;
    let payload = RawValue::from_string(BODY.to_owned()).unwrap();
    let unread = NewInboxEvent {
        id: &parse("evt_2"),
        kind: "invoice.paid",
        livemode: true,
        occurred_at: at(8),
        payload: &payload,
        next_attempt_at: at(0),
    };
    insert_event(&mut tx, &unread).await.unwrap();
    let first = claim_pending_event(&mut tx, &parse("evt_1"), at(9))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(first.subject, Some(json!({ "subscriptions": ["evt_1"] })));
    assert!(first.payload.is_none() && first.urgent && first.attempts == 0);
    let second = claim_pending_events(&mut tx, From::Back, at(5), at(9), 9)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!((second.id.as_str(), second.subject), ("evt_2", None));
    assert_eq!(second.payload.unwrap().get(), BODY);
    assert_eq!(second.occurred_at, at(8));
    // Somebody asks for one by its name: then it does not matter who holds it, only that it waits.
    set_events_finished(&mut tx, &[&parse("evt_2")], InboxState::Done, at(3))
        .await
        .unwrap();
    for (id, is_pending) in [("evt_1", true), ("evt_2", false), ("evt_9", false)] {
        let found = claim_pending_event(&mut tx, &parse(id), at(9)).await.unwrap();
        assert_eq!(found.is_some(), is_pending, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_workers_never_claim_the_same_event() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let given: Vec<Given> = (0..100)
        .map(|n| Given::new(&format!("evt_{n}"), n % 3 == 0, n))
        .collect();
    let rows: Vec<EventToKeep<'_>> = given.iter().map(Given::to_keep).collect();
    insert_events(&mut tx, &rows, at(0)).await.unwrap();
    tx.commit().await.unwrap();
    let claims = at_once(8, |n| {
        let database = db.database();
        async move {
            let from = if n % 2 == 0 { From::Front } else { From::Back };
            let mut claimed = Vec::new();
            loop {
                let mut tx = database.begin().await.unwrap();
                let some = claim_pending_events(&mut tx, from, at(100), at(300), 7)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                assert!(some.len() <= 7, "{some:?}");
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some.into_iter().map(|event| event.id));
            }
        }
    });
    let claimed: Vec<_> = claims.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 100);
    assert_eq!(BTreeSet::from_iter(claimed).len(), 100);
}

#[tokio::test]
async fn a_worker_does_not_wait_for_events_that_another_one_is_claiming() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    keep(
        &mut tx,
        &[
            ("evt_0", false, 0),
            ("evt_1", false, 1),
            ("evt_2", false, 2),
            ("evt_3", false, 3),
        ],
    )
    .await;
    tx.commit().await.unwrap();
    let (mut one, mut other) = (db.begin().await, db.begin().await);
    assert_eq!(claim(&mut one, From::Back, 2).await, set(&["evt_0", "evt_1"]));
    let all = ["evt_0", "evt_1", "evt_2"].map(parse);
    hold_events(&mut other, &all, at(500)).await.unwrap();
    assert_eq!(claim(&mut other, From::Front, 9).await, set(&["evt_3"]));
}

#[tokio::test]
async fn what_is_held_longer_or_let_go_of_is_what_still_waits() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    keep(
        &mut tx,
        &[
            ("evt_1", false, 500),
            ("evt_2", false, 500),
            ("evt_3", false, 500),
        ],
    )
    .await;
    set_events_finished(&mut tx, &[&parse("evt_1")], InboxState::Done, at(1))
        .await
        .unwrap();
    hold_events(&mut tx, &[parse("evt_1"), parse("evt_2")], at(50))
        .await
        .unwrap();
    assert_eq!(claim(&mut tx, From::Front, 9).await, set(&["evt_2"]));
}

#[tokio::test]
async fn events_are_finished_together_once_and_no_others_with_them() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let names = ["evt_1", "evt_2", "evt_3", "evt_4"];
    keep(&mut tx, &names.map(|name| (name, false, 0))).await;
    let [one, two, three, _] = names.map(parse);
    set_events_failed(&mut tx, &[(&three, None)], "no").await.unwrap();
    let finished = set_events_finished(&mut tx, &[&one, &two, &three], InboxState::Done, at(1))
        .await
        .unwrap();
    assert_eq!(finished, 2, "what is dead is for staff");
    // An attempt that was slow to fail takes nothing back.
    set_events_failed(&mut tx, &[(&one, Some(at(2))), (&two, None)], "late")
        .await
        .unwrap();
    for (id, expected) in names.iter().zip([
        InboxState::Done,
        InboxState::Done,
        InboxState::Dead,
        InboxState::Pending,
    ]) {
        assert_eq!(state(&mut tx, id).await, expected, "{id}");
    }
}

#[tokio::test]
async fn each_failed_attempt_is_counted_and_made_again_at_its_own_time() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    keep(
        &mut tx,
        &[("evt_1", false, 0), ("evt_2", false, 0), ("evt_3", false, 500)],
    )
    .await;
    let (one, two) = (parse("evt_1"), parse("evt_2"));
    set_events_failed(&mut tx, &[(&one, Some(at(10))), (&two, Some(at(300)))], "once")
        .await
        .unwrap();
    set_events_failed(&mut tx, &[(&one, Some(at(20)))], "twice")
        .await
        .unwrap();
    let sql = "SELECT attempts, last_error FROM inbox ORDER BY event_id";
    let rows: Vec<(i32, Option<String>)> = sqlx::query_as(sql).fetch_all(&mut *tx).await.unwrap();
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(rows, [(2, told("twice")), (1, told("once")), (0, None)]);
    let early = claim_pending_events(&mut tx, From::Back, at(19), at(90), 10).await;
    assert!(early.unwrap().is_empty());
    let claimed = claim_pending_events(&mut tx, From::Back, at(20), at(90), 10)
        .await
        .unwrap();
    assert_eq!((claimed[0].id.clone(), claimed[0].attempts), (one, 2));
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn the_last_write_of_each_subscription_is_told() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    upsert_customer(&mut tx, &parse("cus_1"), None, at(0))
        .await
        .unwrap();
    for id in ["sub_1", "sub_2"] {
        assert!(insert_subscription(&mut tx, &read(id), at(0)).await.unwrap());
    }
    assert!(
        update_subscription(&mut tx, &read("sub_2"), 1, at(0))
            .await
            .unwrap()
            .is_some()
    );
    let ids = [parse("sub_2"), parse("sub_9")];
    let found = list_last_writes(&mut tx, &ids.each_ref()).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0].id, found[0].mark.version), (&ids[0], 2));
    assert_eq!(
        (found[0].mark.read_started_at, found[0].standing.as_str()),
        (read("sub_2").read_started_at, "pending")
    );
}

#[tokio::test]
async fn the_length_of_the_line_is_what_waits() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let none = Backlog {
        pending: 0,
        oldest: None,
        dead: 0,
    };
    assert_eq!(count_backlog(&mut tx).await.unwrap(), none);
    keep(
        &mut tx,
        &[("evt_1", false, 0), ("evt_2", false, 0), ("evt_3", false, 0)],
    )
    .await;
    set_events_finished(&mut tx, &[&parse("evt_1")], InboxState::Done, at(1))
        .await
        .unwrap();
    set_events_failed(&mut tx, &[(&parse("evt_3"), None)], "no")
        .await
        .unwrap();
    let oldest = find_seen(&mut tx, &parse("evt_2"))
        .await
        .unwrap()
        .map(|seen| seen.seen_at);
    let backlog = Backlog {
        pending: 1,
        oldest,
        dead: 1,
    };
    assert_eq!(count_backlog(&mut tx).await.unwrap(), backlog);
}
