//! The controls over HTTP, as tests of whole processes use them.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::{ADA, COUNCIL, GUILD, soon, start};

#[tokio::test]
async fn everything_can_be_done_and_seen_over_http() {
    let world = start().await;
    let made: Value = world
        .act(&json!({"action": "add_user", "name": "Zoe", "email": "zoe@example.test"}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let zoe = made["id"].as_str().unwrap();
    for action in [
        json!({"action": "join", "guild": GUILD, "user": zoe}),
        json!({"action": "give_role", "guild": GUILD.to_string(), "user": zoe, "role": COUNCIL.to_string()}),
        json!({"action": "add_fault", "fault": {"kind": "status", "status": 500, "times": 1}}),
        json!({"action": "set_gateway", "no_acks": true}),
    ] {
        assert_eq!(
            world.act(&action).send().await.unwrap().status(),
            StatusCode::OK,
            "{action}"
        );
    }
    let see = async |what: &str| {
        let url = world.url(&format!("/_sandbox/{what}"));
        world
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()
    };
    let state = see("state").await;
    assert_eq!(
        state["guilds"][0]["members"][zoe]["roles"],
        json!([COUNCIL.to_string()])
    );
    assert_eq!(state["faults"][0]["kind"], "status");
    assert_eq!(see("gateway").await["switches"]["no_acks"], true);
    assert_eq!(see("audit").await[0]["action"], "member_role_update");
    world.get("/users/@me").await;
    world.get("/gateway/bot").await;
    assert_eq!(see("requests?after=1").await[0]["path"], "/api/v10/gateway/bot");
    assert_eq!(see("requests").await[0]["fault"], "status");
}

#[tokio::test]
async fn an_action_that_is_wrong_says_why() {
    let world = start().await;
    let check = async |action: Value, status: u16, told: &str| {
        let response = world.act(&action).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{action}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"].as_str().unwrap().contains(told), "{body}");
    };
    check(json!({"action": "explode"}), 400, "unknown variant `explode`").await;
    check(
        json!({"action": "join", "guild": GUILD}),
        400,
        "missing field `user`",
    )
    .await;
    check(
        json!({"action": "give_role", "guild": GUILD, "user": ADA}),
        400,
        "missing field `role`",
    )
    .await;
    check(
        json!({"action": "join", "guild": 1, "user": ADA}),
        404,
        "Unknown Guild",
    )
    .await;
    check(
        json!({"action": "set_limit", "bucket": "no", "limit": 1, "window_ms": 1}),
        422,
        "no bucket",
    )
    .await;
    check(json!({"action": "add_user", "name": "ada"}), 422, "taken").await;
}

#[tokio::test]
async fn a_test_can_wait_for_the_next_change() {
    let world = start().await;
    let wait = async |version: u64, timeout: u64| {
        let url = world.url(&format!("/_sandbox/wait?version={version}&timeout_ms={timeout}"));
        world
            .http
            .get(url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()["version"]
            .as_u64()
            .unwrap()
    };
    assert_eq!(wait(0, 10).await, 0, "nothing has changed");
    let (version, joined) =
        soon(async { tokio::join!(wait(0, 20_000), async { world.discord.join(GUILD, ADA) }) }).await;
    joined.unwrap();
    assert_eq!(version, 1);
}
