//! S9: events are listed with what became of them, and replayed one by one or by filter.

use rolecall_queue::Queue;
use serde_json::{Value, json};

use crate::support::Installation;

/// Two that were given up, one that took effect, and one that waits.
const EVENTS: &str = "
    INSERT INTO inbox (event_id, type, livemode, occurred_at, seen_at, state, attempts, last_error,
                       next_attempt_at, done_at, payload)
    VALUES ('evt_1', 'invoice.paid', false, '2026-11-20T08:00:00Z', '2026-11-20T08:00:01Z', 'done', 0, NULL,
            NULL, '2026-11-20T08:00:02Z', '{}'),
           ('evt_2', 'invoice.paid', false, '2026-11-20T09:00:00Z', '2026-11-20T09:00:01Z', 'dead', 9,
            'Stripe could not answer', NULL, NULL, '{\"secret\": \"body\"}'),
           ('evt_3', 'customer.updated', false, '2026-11-20T10:00:00Z', '2026-11-20T10:00:01Z', 'dead', 9,
            'Stripe could not answer', NULL, NULL, '{}'),
           ('evt_4', 'invoice.paid', false, '2026-11-20T11:00:00Z', '2026-11-20T11:00:01Z', 'pending', 2,
            'the database is away', '2026-11-20T11:05:00Z', NULL, '{}')";

const AT_STRIPE: &str =
    r#"{"id":"evt_9", "type":"invoice.paid","created":1763600000,"livemode":false,"data":{"object":{}}}"#;

async fn installation() -> Installation {
    let installation = Installation::new().await;
    installation.tamper(EVENTS).await;
    installation
}

fn ids(events: &Value) -> Vec<&str> {
    let events = events.as_array().unwrap().iter();
    events.map(|event| event["id"].as_str().unwrap()).collect()
}

impl Installation {
    async fn state(&self, id: &str) -> String {
        let events = self.ask(&["events", "list"]).await;
        let event = events.as_array().unwrap().iter().find(|event| event["id"] == id);
        event.unwrap()["state"].as_str().unwrap().to_owned()
    }

    /// The events that the worker was told of.
    async fn hinted(&mut self) -> Vec<String> {
        let jobs = self.jobs(Queue::Jobs).await;
        let hints = jobs.iter().filter(|job| job["kind"] == "process_event");
        let mut ids: Vec<_> = hints
            .map(|job| job["args"]["event_id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }
}

#[tokio::test]
async fn events_are_listed_by_state_and_type_with_their_errors_and_without_their_bodies() {
    let installation = installation().await;
    let all = installation.run(&["events", "list", "--json"]).await;
    assert_eq!(ids(&all.json()), ["evt_4", "evt_3", "evt_2", "evt_1"]);
    assert!(!all.out.contains("body"), "{all:?}");
    let dead = installation.ask(&["events", "list", "--state", "dead"]).await;
    assert_eq!(ids(&dead), ["evt_3", "evt_2"]);
    assert_eq!(
        (&dead[1]["attempts"], &dead[1]["last_error"]),
        (&json!(9), &json!("Stripe could not answer"))
    );
    let some = installation
        .ask(&["events", "list", "--type", "invoice.paid", "--limit", "2"])
        .await;
    assert_eq!(ids(&some), ["evt_4", "evt_2"]);
    let text = installation
        .run(&["events", "list", "--state", "pending"])
        .await
        .out;
    assert!(
        text.contains("2 failed attempts, taken up again by 2026-11-20T11:05:00Z at the latest")
            && text.contains("the database is away"),
        "{text}"
    );
}

#[tokio::test]
async fn one_event_is_replayed_and_the_worker_is_told_and_who_did_it_is_kept() {
    let mut installation = installation().await;
    let answer = installation.ask(&["events", "replay", "evt_1"]).await;
    assert_eq!(answer["replayed"], 1);
    assert_eq!(installation.state("evt_1").await, "pending");
    assert_eq!(installation.state("evt_2").await, "dead");
    assert_eq!(installation.hinted().await, ["evt_1"]);
    let audit = installation
        .rows("SELECT jsonb_build_array(actor, action, subject) FROM audit_log")
        .await;
    assert_eq!(audit, [json!(["cli", "event.replay", "evt_1"])]);
}

#[tokio::test]
async fn events_are_replayed_by_filter() {
    let mut installation = installation().await;
    let ended = installation.run(&["events", "replay", "--dead"]).await;
    assert_eq!((ended.code, ended.out.trim()), (0, "2 events take effect again."));
    assert_eq!(installation.hinted().await, [""; 0], "they wait in line");
    for id in ["evt_2", "evt_3"] {
        assert_eq!(installation.state(id).await, "pending");
    }
    let again = installation.ask(&["events", "replay", "--dead"]).await;
    assert_eq!(again["replayed"], 0);
    let since = installation
        .ask(&[
            "events",
            "replay",
            "--since",
            "2026-11-20T09:00:00Z",
            "--type",
            "invoice.paid",
        ])
        .await;
    assert_eq!(since["replayed"], 2, "one that was dead and one that waits");
    assert_eq!(installation.state("evt_1").await, "done");
}

#[tokio::test]
async fn more_events_than_a_batch_are_replayed_once_each() {
    let installation = Installation::new().await;
    installation
        .tamper(
            "INSERT INTO inbox (event_id, type, livemode, occurred_at, state, payload)
             SELECT 'evt_' || n, 'invoice.paid', false, '2026-11-20T08:00:00Z', 'dead', '{}'
             FROM generate_series(1, 1201) AS n",
        )
        .await;
    let answer = installation.ask(&["events", "replay", "--dead"]).await;
    assert_eq!(answer["replayed"], 1201);
    let pending = installation
        .rows("SELECT to_jsonb(count(*)) FROM inbox WHERE state = 'pending'")
        .await;
    assert_eq!(pending, [json!(1201)]);
}

#[tokio::test]
async fn wrong_use_is_told_apart_and_says_how_to_find_ids() {
    let installation = installation().await;
    for (arguments, words) in [
        (vec!["events", "replay"], "required"),
        (vec!["events", "replay", "sub_1"], "rolecall events list"),
        (vec!["events", "replay", "evt_1", "--dead"], "cannot be used with"),
        (vec!["events", "replay", "--type", "invoice.paid"], "required"),
        (
            vec!["events", "replay", "--since", "yesterday"],
            "2026-11-20T08:00:00Z",
        ),
        (
            vec!["events", "list", "--state", "rotten"],
            "pending, done, ignored or dead",
        ),
        (vec!["events", "list", "--limit", "0"], "1..=1000"),
    ] {
        let ended = installation.run(&arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(installation.state("evt_2").await, "dead");
}

#[tokio::test]
async fn an_event_that_never_came_in_is_fetched_from_stripe() {
    let mut installation = installation().await.with_stripe(AT_STRIPE);
    let answer = installation.ask(&["events", "replay", "evt_9"]).await;
    assert_eq!((&answer["replayed"], &answer["fetched"]), (&json!(1), &json!(1)));
    assert_eq!(installation.state("evt_9").await, "pending");
    assert_eq!(installation.hinted().await, ["evt_9"]);
    let kept = installation
        .rows("SELECT to_jsonb(payload::text) FROM inbox WHERE event_id = 'evt_9'")
        .await;
    assert_eq!(kept, [json!(AT_STRIPE)], "word for word");
}

#[tokio::test]
async fn an_event_that_cannot_be_had_says_why() {
    let unknown = r#"{"error":{"code":"resource_missing","message":"No such event"}}"#;
    let live = r#"{"id":"evt_9","type":"invoice.paid","created":1763600000,"livemode":true}"#;
    for (installation, words) in [
        (installation().await, "without STRIPE_SECRET_KEY"),
        (
            installation().await.with_stripe(unknown),
            "neither the inbox nor Stripe",
        ),
        (installation().await.with_stripe(live), "STRIPE_MODE is test"),
    ] {
        let mut installation = installation;
        let ended = installation.run(&["events", "replay", "evt_9"]).await;
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.err.contains(words), "{words}: {}", ended.err);
        assert_eq!(installation.hinted().await, [""; 0]);
        assert_eq!(
            installation
                .ask(&["events", "list"])
                .await
                .as_array()
                .unwrap()
                .len(),
            4
        );
    }
}

#[tokio::test]
async fn without_redis_the_replay_is_owed_all_the_same() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let installation = installation()
        .await
        .with("REDIS_URL", format!("redis://127.0.0.1:{port}"));
    let answer = installation.ask(&["events", "replay", "evt_2"]).await;
    assert_eq!(answer["replayed"], 1);
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("finds the event by itself"), "{warning}");
    assert_eq!(installation.state("evt_2").await, "pending");
}
