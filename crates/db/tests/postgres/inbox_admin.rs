//! The inbox for people: events are listed, replayed, and in the end forgotten.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Transaction,
    inbox::{InboxState, NewInboxEvent, database_time, find_seen, insert_event},
    inbox_admin::{
        EventSelection, claim_replays, delete_events_before, find_event_row, list_events, set_event_replayed,
        state_named,
    },
    inbox_line::{From, claim_pending_events, set_events_failed, set_events_finished},
};
use serde_json::value::RawValue;

use crate::support::{TestDb, at, parse};

/// Takes an event in that Stripe made at `seconds`, and leaves it in `state`.
async fn event(tx: &mut Transaction, id: &str, kind: &str, seconds: i64, state: InboxState) {
    let payload = RawValue::from_string("{}".to_owned()).unwrap();
    let event = NewInboxEvent {
        id: &parse(id),
        kind,
        livemode: false,
        occurred_at: at(seconds),
        payload: &payload,
        next_attempt_at: at(60),
    };
    insert_event(tx, &event).await.unwrap().unwrap();
    match state {
        InboxState::Pending => {}
        InboxState::Dead => set_events_failed(tx, &[(&parse(id), None)], "Stripe is away")
            .await
            .unwrap(),
        finished => {
            set_events_finished(tx, &[&parse(id)], finished, at(9))
                .await
                .unwrap();
        }
    }
}

async fn ids(tx: &mut Transaction, selection: &EventSelection<'_>) -> Vec<String> {
    let rows = list_events(tx, selection, None, 100).await.unwrap();
    rows.into_iter().map(|row| row.id).collect()
}

async fn four_events(tx: &mut Transaction) {
    event(tx, "evt_1", "invoice.paid", 1, InboxState::Done).await;
    event(tx, "evt_2", "customer.created", 2, InboxState::Ignored).await;
    event(tx, "evt_3", "invoice.paid", 3, InboxState::Dead).await;
    event(tx, "evt_4", "invoice.paid", 4, InboxState::Pending).await;
}

#[tokio::test]
async fn events_are_listed_newest_first_by_state_type_and_time() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_events(&mut tx).await;
    let all = EventSelection::default();
    assert_eq!(ids(&mut tx, &all).await, ["evt_4", "evt_3", "evt_2", "evt_1"]);
    for (name, expected) in [
        ("pending", "evt_4"),
        ("dead", "evt_3"),
        ("ignored", "evt_2"),
        ("done", "evt_1"),
    ] {
        let state = state_named(name);
        assert_eq!(ids(&mut tx, &EventSelection { state, ..all }).await, [expected]);
    }
    assert_eq!(state_named("Dead"), None);
    let paid = EventSelection {
        kind: Some("invoice.paid"),
        ..all
    };
    assert_eq!(ids(&mut tx, &paid).await, ["evt_4", "evt_3", "evt_1"]);
    let late = EventSelection {
        kind: Some("invoice.paid"),
        occurred_since: Some(at(3)),
        ..all
    };
    assert_eq!(ids(&mut tx, &late).await, ["evt_4", "evt_3"]);
}

#[tokio::test]
async fn a_list_goes_on_where_a_page_ended_and_ends() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in 0..7 {
        event(
            &mut tx,
            &format!("evt_{n}"),
            "invoice.paid",
            n,
            InboxState::Pending,
        )
        .await;
    }
    // Events of one transaction with a clock that stands still would share a time: the id decides then.
    sqlx::query("UPDATE inbox SET seen_at = $1")
        .bind(at(0))
        .execute(&mut *tx)
        .await
        .unwrap();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = list_events(&mut tx, &EventSelection::default(), after.as_ref(), 3)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.place());
        listed.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(
        listed,
        ["evt_6", "evt_5", "evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
    );
}

#[tokio::test]
async fn an_event_is_shown_with_its_failure() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_events(&mut tx).await;
    let row = find_event_row(&mut tx, &parse("evt_3")).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.attempts), ("dead", 1));
    assert_eq!(row.last_error.as_deref(), Some("Stripe is away"));
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!(json["type"], "invoice.paid");
    assert_eq!(json.get("payload"), None, "bodies hold personal data");
    assert_eq!(find_event_row(&mut tx, &parse("evt_9")).await.unwrap(), None);
}

#[tokio::test]
async fn a_replayed_event_is_as_if_it_had_come_in_now() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_events(&mut tx).await;
    sqlx::query("UPDATE inbox SET subject = '{}', urgent = true")
        .execute(&mut *tx)
        .await
        .unwrap();
    let before = database_time(&mut tx).await.unwrap();
    for id in ["evt_1", "evt_3"] {
        assert!(set_event_replayed(&mut tx, &parse(id), at(500)).await.unwrap());
        let row = find_event_row(&mut tx, &parse(id)).await.unwrap().unwrap();
        assert_eq!(
            (row.state.as_str(), row.attempts, row.last_error),
            ("pending", 0, None)
        );
        assert_eq!((row.next_attempt_at, row.done_at), (Some(at(500)), None));
        assert!(row.seen_at > before, "a read of before would cover it");
    }
    let other = find_seen(&mut tx, &parse("evt_2")).await.unwrap().unwrap();
    assert!(other.state == InboxState::Ignored && other.seen_at < before);
    let looked_into: Vec<String> = sqlx::query_scalar(
        "SELECT event_id FROM inbox WHERE subject IS NOT NULL OR urgent ORDER BY event_id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(
        looked_into,
        ["evt_2", "evt_4"],
        "a newer version may find more in it"
    );
    assert!(
        !set_event_replayed(&mut tx, &parse("evt_9"), at(500))
            .await
            .unwrap()
    );
    let due = claim_pending_events(&mut tx, From::Back, at(500), at(600), 9)
        .await
        .unwrap();
    assert_eq!(due.len(), 3, "the pumps take them up too: {due:?}");
}

async fn replay_all(
    tx: &mut Transaction,
    selection: &EventSelection<'_>,
    seen_before: DateTime<Utc>,
) -> BTreeSet<String> {
    let mut replayed = BTreeSet::new();
    for _ in 0..10 {
        let some = claim_replays(tx, selection, seen_before, at(500), 2)
            .await
            .unwrap();
        assert!(some.len() <= 2);
        if some.is_empty() {
            return replayed;
        }
        for id in some {
            assert!(replayed.insert(id.as_str().to_owned()), "{id} was replayed twice");
        }
    }
    panic!("replays never end")
}

#[tokio::test]
async fn the_selected_events_are_replayed_once_each() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_events(&mut tx).await;
    let now = database_time(&mut tx).await.unwrap();
    event(&mut tx, "evt_5", "invoice.paid", 5, InboxState::Dead).await;
    let dead = EventSelection {
        state: Some(InboxState::Dead),
        ..EventSelection::default()
    };
    assert_eq!(
        replay_all(&mut tx, &dead, now).await,
        BTreeSet::from(["evt_3".to_owned()]),
        "the fifth came in later"
    );
    let now = database_time(&mut tx).await.unwrap();
    let since = EventSelection {
        occurred_since: Some(at(2)),
        ..EventSelection::default()
    };
    let expected = ["evt_2", "evt_3", "evt_4", "evt_5"].map(str::to_owned);
    assert_eq!(replay_all(&mut tx, &since, now).await, BTreeSet::from(expected));
    let seen = find_seen(&mut tx, &parse("evt_1")).await.unwrap().unwrap();
    assert_eq!(seen.state, InboxState::Done);
}

#[tokio::test]
async fn what_is_done_is_forgotten_in_time_and_what_is_owed_never() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_events(&mut tx).await;
    event(&mut tx, "evt_5", "invoice.paid", 5, InboxState::Done).await;
    sqlx::query("UPDATE inbox SET seen_at = CASE WHEN event_id = 'evt_5' THEN $1 ELSE $2 END")
        .bind(at(100))
        .bind(at(50))
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(delete_events_before(&mut tx, at(50), 10).await.unwrap(), 0);
    assert_eq!(delete_events_before(&mut tx, at(100), 1).await.unwrap(), 1);
    assert_eq!(delete_events_before(&mut tx, at(100), 10).await.unwrap(), 1);
    let left: BTreeSet<String> = ids(&mut tx, &EventSelection::default())
        .await
        .into_iter()
        .collect();
    assert_eq!(
        left,
        BTreeSet::from(["evt_3", "evt_4", "evt_5"].map(str::to_owned))
    );
}
