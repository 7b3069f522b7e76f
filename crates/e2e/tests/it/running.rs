//! Running it: readiness, draining, recurring jobs by hand, and what never stands in a log.

use rolecall_e2e::{
    stack::{STRIPE_KEY, Stack, WEBHOOK_SECRET},
    story::ADA_EMAIL,
    until::until,
};
use rolecall_sandbox::discord::demo;

use crate::support::{SOON, paying_member, stack, wait_in_sync};

#[tokio::test]
async fn every_service_says_that_it_is_ready_and_names_its_parts() {
    let stack = stack("ready").await;
    for (process, parts) in [
        (&stack.api, ["postgres", "redis"].as_slice()),
        (&stack.worker, &["postgres", "redis"]),
        (&stack.bot, &["redis", "gateway"]),
    ] {
        // A bot is ready before Discord has let it in: it waits for nobody to act.
        until(&format!("all of {parts:?} well"), SOON, async || {
            let ready = process.readiness(&stack.client).await?;
            let well = parts.iter().all(|part| ready["parts"][part]["ok"] == true);
            Ok(well.then_some(()))
        })
        .await
        .unwrap();
    }
    let public: serde_json::Value = stack
        .client
        .get(format!("{}/health", stack.public_url()))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(public["status"], "ok");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_recurring_job_can_be_run_by_hand_and_tells_what_it_did() {
    let stack = stack("by_hand").await;
    let run = stack.rolecall(&["jobs", "run", "due_sweep"]).await.unwrap();
    assert_eq!(
        (run["job"].as_str(), run["state"].as_str()),
        (Some("due_sweep"), Some("succeeded")),
        "{run}"
    );
    let wrong = stack.run(&["jobs", "run", "due_swep"]).await.unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&wrong.stderr).contains("due_sweep"),
        "{wrong:?}"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn no_secret_and_no_address_stands_in_a_log() {
    let stack = stack("secrets").await;
    paying_member(&stack).await;
    wait_in_sync(&stack).await;
    let logs = stack.logs().unwrap();
    assert!(
        logs.contains("database_pooler=none"),
        "the logs are the services'"
    );
    let secrets = [
        STRIPE_KEY,
        WEBHOOK_SECRET,
        demo::CLIENT_SECRET,
        demo::BOT_TOKEN,
        ADA_EMAIL,
        "play money",
    ];
    for secret in secrets {
        assert!(!logs.contains(secret), "{secret} was logged");
    }
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn staff_sees_why_and_strangers_do_not() {
    let stack: Stack = stack("why").await;
    let (person, _) = paying_member(&stack).await;
    let why = wait_in_sync(&stack).await;
    let id = why["member"]["id"].as_str().unwrap();
    let url = format!("{}/api/v1/admin/members/{id}/why", stack.public_url());
    let refused = person.open(&url).await.unwrap();
    assert!(refused.status.is_client_error(), "{}", refused.status);
    let granted = stack
        .rolecall(&["admin", "grant", &rolecall_e2e::story::ADA.to_string()])
        .await
        .unwrap();
    assert_eq!(granted["granted"], true);
    let shown = person.open(&url).await.unwrap();
    assert!(shown.status.is_success(), "{}: {}", shown.status, shown.body);
    let shown: serde_json::Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(shown["guilds"][0]["roles"], why["guilds"][0]["roles"]);
    stack.stop().await.unwrap();
}
