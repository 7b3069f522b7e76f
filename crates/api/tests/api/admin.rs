//! Events and jobs for staff: listed, paged, replayed, and who did it is kept.

use reqwest::Method;
use rolecall_db::{
    inbox::{InboxState, NewInboxEvent, find_seen, insert_event},
    inbox_line::{set_events_failed, set_events_finished},
    staff::{StaffName, insert_staff},
};
use rolecall_domain::ids::{DiscordUserId, StripeEventId};
use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use crate::support::{Browser, TestApp};

const EVENTS: &str = "/api/v1/admin/events";

impl TestApp {
    /// A browser in which somebody of the staff is signed in.
    pub(crate) async fn staff(&self) -> Browser {
        let browser = self.signed_in().await;
        let mut tx = self.database.begin().await.unwrap();
        let name = StaffName::Discord(DiscordUserId::new(4001).unwrap());
        insert_staff(&mut tx, Uuid::from_u128(1), &name, "cli", self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        browser
    }

    async fn event(&self, id: &str, kind: &str, state: InboxState) {
        let payload = RawValue::from_string(r#"{"email":"ada@example.com"}"#.to_owned()).unwrap();
        let id: StripeEventId = id.parse().unwrap();
        let new = NewInboxEvent {
            id: &id,
            kind,
            livemode: false,
            occurred_at: self.now(),
            payload: &payload,
            next_attempt_at: self.now(),
        };
        let mut tx = self.database.begin().await.unwrap();
        insert_event(&mut tx, &new).await.unwrap();
        match state {
            InboxState::Pending => {}
            InboxState::Dead => set_events_failed(&mut tx, &[(&id, None)], "Stripe is away")
                .await
                .unwrap(),
            done => {
                set_events_finished(&mut tx, &[&id], done, self.now())
                    .await
                    .unwrap();
            }
        }
        tx.commit().await.unwrap();
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let events = list["data"].as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn events_and_jobs_are_for_staff_alone() {
    let app = TestApp::start().await;
    app.event("evt_1", "invoice.paid", InboxState::Dead).await;
    let mut member = app.signed_in().await;
    for path in [EVENTS, "/api/v1/admin/jobs"] {
        assert_eq!(app.browser().get(path).await.code(), "not_signed_in", "{path}");
        assert_eq!(member.get(path).await.code(), "not_staff", "{path}");
    }
    let replay = format!("{EVENTS}/evt_1/replay");
    assert_eq!(
        app.browser().post(&replay, &json!({})).await.code(),
        "not_signed_in"
    );
    assert_eq!(member.post(&replay, &json!({})).await.code(), "not_staff");
    let mut staff = app.staff().await;
    let foreign = staff
        .request(Method::POST, &replay)
        .header("origin", "https://evil.example");
    assert_eq!(staff.send(foreign).await.code(), "foreign_origin");
    assert!(app.jobs("jobs").await.is_empty());
    let list = staff.get(&format!("{EVENTS}?state=dead")).await.json();
    assert_eq!(ids(&list), ["evt_1"], "nobody has replayed it");
}

#[tokio::test]
async fn events_are_filtered_and_paged_to_the_end() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    for n in 0..5 {
        let state = if n == 2 {
            InboxState::Dead
        } else {
            InboxState::Done
        };
        let kind = if n == 3 {
            "customer.updated"
        } else {
            "invoice.paid"
        };
        app.event(&format!("evt_{n}"), kind, state).await;
    }
    let dead = staff.get(&format!("{EVENTS}?state=dead&type=")).await;
    assert!(!dead.text.contains("ada@"), "{dead:?}");
    assert_eq!(dead.header("cache-control"), "no-store");
    let dead = dead.json();
    assert_eq!(ids(&dead), ["evt_2"]);
    assert_eq!(dead["next_cursor"], Value::Null);
    let event = &dead["data"][0];
    assert_eq!(
        (&event["attempts"], &event["last_error"]),
        (&json!(1), &json!("Stripe is away"))
    );
    let mut path = format!("{EVENTS}?type=invoice.paid&limit=2");
    let mut pages = Vec::new();
    loop {
        let page = staff.get(&path).await.json();
        pages.push(ids(&page).join(" "));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{EVENTS}?type=invoice.paid&limit=2&cursor={cursor}");
    }
    assert_eq!(pages, ["evt_4 evt_2", "evt_1 evt_0"]);
    for wrong in ["state=rotten", "cursor=1", "limit=0", "limit=201", "limit=x"] {
        let answer = staff.get(&format!("{EVENTS}?{wrong}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "bad_request"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_replayed_event_is_pending_again_and_who_did_it_is_kept() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    app.event("evt_1", "invoice.paid", InboxState::Dead).await;
    app.event("evt_2", "invoice.paid", InboxState::Dead).await;
    let answer = staff.post(&format!("{EVENTS}/evt_1/replay"), &json!({})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let event = answer.json();
    assert_eq!(
        (&event["id"], &event["state"], &event["attempts"]),
        (&json!("evt_1"), &json!("pending"), &json!(0))
    );
    let jobs = app.jobs("jobs").await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (&jobs[0]["kind"], &jobs[0]["args"]["event_id"]),
        (&json!("process_event"), &json!("evt_1"))
    );
    let mut tx = app.database.begin().await.unwrap();
    let other = find_seen(&mut tx, &"evt_2".parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(other.state, InboxState::Dead);
    drop(tx);
    let audit = app
        .rows("SELECT jsonb_build_array(actor, action, subject) FROM audit_log WHERE action = 'event.replay'")
        .await;
    assert_eq!(audit, [json!([format!("staff:{me}"), "event.replay", "evt_1"])]);

    for unknown in ["evt_9", "sub_1", "nonsense"] {
        let answer = staff
            .post(&format!("{EVENTS}/{unknown}/replay"), &json!({}))
            .await;
        assert_eq!(answer.code(), "not_found", "{unknown}");
    }
    let wrong = staff.get(&format!("{EVENTS}/evt_1/replay")).await;
    assert_eq!(wrong.code(), "method_not_allowed");
}

#[tokio::test]
async fn jobs_are_told_with_their_outcomes_and_the_queues() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    let mut tx = app.database.begin().await.unwrap();
    let id = Uuid::from_u128(7);
    assert!(
        rolecall_db::cron_runs::insert_tick(&mut tx, id, "retention", app.now(), "worker-1", app.now())
            .await
            .unwrap()
    );
    rolecall_db::cron_runs::finish_run(&mut tx, id, false, "the database is full", app.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let jobs = staff.get("/api/v1/admin/jobs").await.json();
    assert_eq!(jobs["next_cursor"], Value::Null);
    let run = &jobs["data"][0];
    assert_eq!(
        (&run["job"], &run["state"], &run["outcome"]),
        (
            &json!("retention"),
            &json!("failed"),
            &json!("the database is full")
        )
    );
    assert_eq!(run["finished_at"], json!(app.now()));
    let queues = jobs["queues"].as_array().unwrap();
    assert_eq!(queues.len(), 7);
    assert_eq!(
        queues[0],
        json!({ "queue": "stripe-events", "depth": 0, "pending": 0, "delayed": 0, "dead": 0, "oldest_age_ms": 0 })
    );
}
