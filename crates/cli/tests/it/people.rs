//! B10, B4: grants by command, and what staff looks up about somebody.

use rolecall_queue::Queue;
use serde_json::{Value, json};

use crate::support::Installation;

const ADA: &str = "0191e3a0-0000-7000-8000-0000000000aa";
const GRACE: &str = "0191e3a0-0000-7000-8000-0000000000bb";

/// A plan, two people, and a message that did not reach the first.
const COMMUNITY: &str = "
    INSERT INTO plans (slug, name, kind, position, paused_keeps_access, trial_days, end_policy, seat_policy,
                       proration, archived)
    VALUES ('council', 'Council', 'individual', 0, false, 0, 'remove', 'grace', 'always', false);
    INSERT INTO members (id, display_name, email, created_at)
    VALUES ('0191e3a0-0000-7000-8000-0000000000aa', 'Ada', 'ada@example.org', '2026-11-01T08:00:00Z'),
           ('0191e3a0-0000-7000-8000-0000000000bb', 'Grace', 'grace@example.org', '2026-11-02T08:00:00Z');
    INSERT INTO discord_accounts (user_id, member_id, username, linked_at)
    VALUES (4001, '0191e3a0-0000-7000-8000-0000000000aa', 'lovelace', '2026-11-01T08:00:00Z');
    INSERT INTO notifications (id, member_id, kind, dedup_key, args, state, attempts, last_error, created_at, channel)
    VALUES ('0191e3a0-0000-7000-8000-000000000001', '0191e3a0-0000-7000-8000-0000000000aa', 'payment_failed', 'a',
            '{}', 'undeliverable', 1, 'the person has no verified e-mail address', '2026-11-03T08:00:00Z', 'mail')";

async fn installation() -> Installation {
    let installation = Installation::new().await;
    installation.tamper(COMMUNITY).await;
    installation
}

#[tokio::test]
async fn a_grant_is_given_listed_and_taken_back_and_the_worker_is_told() {
    let mut installation = installation().await;
    let given = [
        "grants", "add", "4001", "council", "--reason", "speaker", "--for", "30d",
    ];
    let given = installation.ask(&given).await;
    assert_eq!(
        (
            &given["member_id"],
            &given["granted_by"],
            &given["state"],
            &given["warnings"]
        ),
        (&json!(ADA), &json!("cli"), &json!("live"), &json!([]))
    );
    let lasts = installation
        .rows("SELECT to_jsonb(extract(epoch FROM ends_at - starts_at)::bigint) FROM grants")
        .await;
    assert_eq!(lasts, [json!(30 * 86_400)]);
    let ever = [
        "grants",
        "add",
        "grace@example.org",
        "council",
        "--reason",
        "founder",
    ];
    let ended = installation.run(&ever).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.out.starts_with("Given: ") && ended.out.contains("for ever") && ended.out.contains("founder"),
        "{ended:?}"
    );
    let owed = installation
        .rows("SELECT to_jsonb(id) FROM members WHERE converge_trigger = 'grant' ORDER BY id")
        .await;
    assert_eq!(owed, [json!(ADA), json!(GRACE)]);

    let listed = installation.ask(&["grants", "list", ADA]).await;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let taken = installation.ask(&["grants", "revoke", &id]).await;
        assert_eq!(
            (&taken["state"], &taken["revoked_by"]),
            (&json!("revoked"), &json!("cli"))
        );
    }
    assert_eq!(installation.ask(&["grants", "list", ADA]).await, json!([]));
    let all = installation.ask(&["grants", "list", "--all"]).await;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let hints = installation.jobs(Queue::AccountEvents).await;
    let told: Vec<&Value> = hints.iter().map(|job| &job["args"]["member_id"]).collect();
    assert_eq!(told, [&json!(ADA), &json!(GRACE), &json!(ADA), &json!(ADA)]);
    let audit = installation
        .rows("SELECT to_jsonb(action) FROM audit_log WHERE actor = 'cli' ORDER BY id")
        .await;
    assert_eq!(
        audit,
        ["grant.give", "grant.give", "grant.revoke"].map(|action| json!(action))
    );
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_is_refused_with_words() {
    let installation = installation().await;
    let good = ["grants", "add", "4001", "council", "--reason", "x"];
    for (arguments, code, words) in [
        (
            vec!["grants", "add", "4001", "counsel", "--reason", "x"],
            1,
            "there is council",
        ),
        (
            vec!["grants", "add", "4001", "council", "--reason", " "],
            1,
            "say why",
        ),
        (vec!["grants", "add", "4001", "council"], 2, "--reason"),
        (
            vec!["grants", "add", "4002", "council", "--reason", "x"],
            1,
            "nobody is known",
        ),
        (
            [&good[..], &["--until", "2020-01-01"]].concat(),
            1,
            "not in the future",
        ),
        ([&good[..], &["--until", "soon"]].concat(), 2, "2026-12-31"),
        ([&good[..], &["--for", "0s"]].concat(), 2, "--for"),
        (
            [&good[..], &["--for", "3d", "--until", "2030-01-01"]].concat(),
            2,
            "cannot be used with",
        ),
        (vec!["grants", "revoke", "council"], 2, "rolecall grants list"),
        (vec!["grants", "revoke", ADA], 1, "there is no grant"),
    ] {
        let ended = installation.run(&arguments).await;
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
    }
    assert_eq!(
        installation.rows("SELECT to_jsonb(id) FROM grants").await,
        [Value::Null; 0]
    );
}

#[tokio::test]
async fn people_are_found_with_what_happened_to_them_and_what_they_were_told() {
    let installation = installation().await;
    for query in [ADA, "4001", "love", "ada@ex"] {
        let found = installation.ask(&["members", "list", query]).await;
        assert_eq!(found.as_array().unwrap().len(), 1, "{query}");
        assert_eq!(found[0]["id"], json!(ADA), "{query}");
    }
    let all = installation.ask(&["members", "list"]).await;
    assert_eq!(
        (&all[0]["display_name"], &all[1]["display_name"]),
        (&json!("Grace"), &json!("Ada"))
    );
    let messages = installation.ask(&["messages", "4001"]).await;
    assert_eq!(
        (&messages[0]["kind"], &messages[0]["state"]),
        (&json!("payment_failed"), &json!("undeliverable"))
    );
    let text = installation.run(&["messages", "4001"]).await.out;
    assert!(text.contains("no verified e-mail address"), "{text}");
    let none = installation.run(&["messages", "grace@example.org"]).await;
    assert_eq!(
        (none.code, none.out.trim()),
        (0, "Nothing was sent to them, and nothing is owed.")
    );
    installation
        .ask(&["grants", "add", "4001", "council", "--reason", "x"])
        .await;
    let timeline = installation.ask(&["members", "timeline", "4001"]).await;
    let whats: Vec<&Value> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["what"])
        .collect();
    assert_eq!(whats, [&json!("grant.give"), &json!("payment_failed")]);
}

#[tokio::test]
async fn nobody_becomes_staff_by_a_name_that_is_no_account_and_no_address() {
    let installation = installation().await;
    for who in ["ada", "ada@localhost", "-1"] {
        let ended = installation.run(&["admin", "grant", "--", who]).await;
        assert_eq!(ended.code, 2, "{who}: {ended:?}");
        assert!(ended.err.contains("e-mail address"), "{who}: {}", ended.err);
    }
    assert_eq!(
        installation.rows("SELECT to_jsonb(t) FROM staff t").await,
        Vec::<serde_json::Value>::new()
    );
}
