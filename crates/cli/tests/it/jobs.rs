//! Queues and dead jobs, for whoever is on duty.

use rolecall_queue::Queue;
use serde_json::{Value, json};

use crate::support::Installation;

impl Installation {
    async fn dead(&self, queue: Queue) -> Value {
        let queues = self.ask(&["jobs", "queues"]).await;
        let found = queues
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row["queue"] == queue.name());
        found.unwrap()["dead"].clone()
    }
}

#[tokio::test]
async fn dead_jobs_are_listed_and_shown_without_secrets() {
    let mut installation = Installation::new().await;
    let command = json!({ "guild_id": "1", "user_id": "2", "join": "sealed-token" });
    let one = installation
        .dead_job(Queue::RoleCommandsNow, "apply_roles", &command)
        .await;
    let event = json!({ "event_id": "evt_1", "payload": { "email": "ada@example.com" } });
    let two = installation
        .dead_job(Queue::StripeEvents, "stripe_event", &event)
        .await;
    let list = installation.ask(&["jobs", "dead", "list"]).await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!((&list[0]["id"], &list[1]["id"]), (&json!(two), &json!(one)));
    let of_queue = ["jobs", "dead", "list", "--queue", "role-commands-now"];
    let list = installation.ask(&of_queue).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["kind"], "apply_roles");
    assert_eq!(list[0]["reason"], "it kept failing");
    assert_eq!(list[0]["attempts"], 9);

    for id in [&one, &two] {
        let shown = installation.run(&["jobs", "dead", "show", id]).await;
        assert_eq!(shown.code, 0, "{shown:?}");
        assert!(shown.json()["args"].is_object(), "{shown:?}");
        assert!(
            !shown.out.contains("sealed-token") && !shown.out.contains("ada@"),
            "{}",
            shown.out
        );
    }
    let shown = installation.ask(&["jobs", "dead", "show", &two]).await;
    assert_eq!(shown["args"]["event_id"], "evt_1");
}

#[tokio::test]
async fn dead_jobs_get_all_their_attempts_again_or_are_let_go() {
    let mut installation = Installation::new().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(installation.dead_job(Queue::Jobs, "sync_plans", &json!({})).await);
    }
    let other = installation
        .dead_job(Queue::AccountEvents, "converge_member", &json!({}))
        .await;
    let done = installation
        .ask(&["jobs", "dead", "redrive", &ids[0], &ids[1]])
        .await;
    assert_eq!(done, json!({ "redriven": 2, "missing": [] }));
    assert_eq!(installation.jobs(Queue::Jobs).await.len(), 2);
    // One that is gone is a fault, and the others are done.
    let ended = installation
        .run(&["jobs", "dead", "purge", &ids[0], &ids[2], "--json"])
        .await;
    assert_eq!(ended.code, 1);
    assert_eq!(ended.json(), json!({ "purged": 1, "missing": [ids[0]] }));
    let done = installation
        .ask(&["jobs", "dead", "redrive", "--all", "--queue", "jobs"])
        .await;
    assert_eq!(done["redriven"], 2);
    assert_eq!(installation.dead(Queue::Jobs).await, 0);
    assert_eq!(installation.dead(Queue::AccountEvents).await, 1);
    let done = installation.ask(&["jobs", "dead", "purge", "--all"]).await;
    assert_eq!(done["purged"], 1);
    let gone = installation.run(&["jobs", "dead", "show", &other]).await;
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains("rolecall jobs dead list"), "{}", gone.err);
    assert_eq!(installation.jobs(Queue::Jobs).await.len(), 4);
}

#[tokio::test]
async fn the_queues_are_shown_with_what_waits_in_them() {
    let mut installation = Installation::new().await;
    installation.dead_job(Queue::Jobs, "sync_plans", &json!({})).await;
    installation.ask(&["jobs", "dead", "redrive", "--all"]).await;
    let queues = installation.ask(&["jobs", "queues"]).await;
    let names: Vec<_> = queues
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["queue"])
        .collect();
    assert_eq!(names, Queue::ALL.map(Queue::name).to_vec());
    let jobs = queues.as_array().unwrap().last().unwrap();
    assert_eq!(
        (&jobs["depth"], &jobs["pending"], &jobs["delayed"], &jobs["dead"]),
        (&json!(1), &json!(0), &json!(0), &json!(0))
    );
    assert!(jobs["oldest_age_ms"].as_u64().is_some());
    let text = installation.run(&["jobs", "queues"]).await.out;
    assert_eq!(text.lines().count(), 8, "{text}");
}

#[tokio::test]
async fn wrong_use_of_the_dead_is_refused() {
    let installation = Installation::new().await;
    for (arguments, words) in [
        (vec!["jobs", "dead", "redrive"], "required"),
        (vec!["jobs", "dead", "purge"], "required"),
        (vec!["jobs", "dead", "purge", "--queue", "jobs"], "required"),
        (
            vec!["jobs", "dead", "purge", "jobs/1-0", "--all"],
            "cannot be used with",
        ),
        (vec!["jobs", "dead", "show", "1-0"], "rolecall jobs dead list"),
        (vec!["jobs", "dead", "list", "--queue", "coffee"], "stripe-events"),
        (vec!["jobs", "run", "coffee"], "stripe_events_sweep"),
    ] {
        let ended = installation.run(&arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
    }
}
