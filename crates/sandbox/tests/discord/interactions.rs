//! Slash commands: registered, used, answered.

use reqwest::{Method, StatusCode};
use rolecall_sandbox::discord::demo;
use serde_json::{Value, json};

use super::support::{ADA, GUILD, World, refusal, start};

async fn register(world: &World) {
    let path = format!("/applications/{}/guilds/{GUILD}/commands", demo::CLIENT_ID);
    let commands = json!([{"name": "why", "description": "Why somebody has their roles"}]);
    let response = world
        .bot(Method::PUT, &path)
        .json(&commands)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let registered: Value = response.json().await.unwrap();
    assert_eq!(
        (&registered[0]["name"], &registered[0]["guild_id"]),
        (&json!("why"), &json!(GUILD.to_string()))
    );
}

/// Ada uses `/why member:<owner>`; answers with what the gateway says.
async fn use_command(world: &World) -> Value {
    let (mut gateway, _) = world.identified(1).await;
    world.discord.join(GUILD, ADA).unwrap();
    let owner = demo::OWNER.to_string();
    let options = json!([{"name": "member", "type": 6, "value": owner}]);
    let usage =
        json!({"action": "use_command", "guild": GUILD, "user": ADA, "command": "why", "options": options});
    assert_eq!(world.act(&usage).send().await.unwrap().status(), StatusCode::OK);
    let interaction = gateway.event("INTERACTION_CREATE").await;
    assert_eq!(
        interaction["data"]["resolved"]["users"][&owner]["username"],
        "olive"
    );
    interaction
}

#[tokio::test]
async fn a_command_is_deferred_once_and_answered_later() {
    let world = start().await;
    register(&world).await;
    let interaction = use_command(&world).await;
    let (id, token) = (
        interaction["id"].as_str().unwrap(),
        interaction["token"].as_str().unwrap(),
    );
    let defer = async || {
        let path = format!("/interactions/{id}/{token}/callback");
        let body = json!({"type": 5, "data": {"flags": 64}});
        world.call(Method::POST, &path).json(&body).send().await.unwrap()
    };
    let original = format!("/webhooks/{}/{token}/messages/@original", demo::CLIENT_ID);
    let edit = async || {
        world
            .call(Method::PATCH, &original)
            .json(&json!({"content": "Because"}))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(
        refusal(edit().await).await,
        (404, 10015),
        "there is nothing to edit yet"
    );
    assert_eq!(defer().await.status(), StatusCode::NO_CONTENT);
    assert_eq!(refusal(defer().await).await, (400, 40060));
    assert_eq!(edit().await.status(), StatusCode::OK);
    let shown = world.discord.interactions().pop().unwrap();
    assert_eq!((shown.answered, shown.ephemeral), (Some(5), true));
    assert_eq!(shown.answer.unwrap().content, "Because");
}

#[tokio::test]
async fn an_interaction_that_is_unknown_cannot_be_answered() {
    let world = start().await;
    let body = json!({"type": 4, "data": {"content": "x"}});
    let response = world
        .call(Method::POST, "/interactions/1/made-up/callback")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(response).await, (404, 10062));
    let usage = json!({"action": "use_command", "guild": GUILD, "user": demo::OWNER, "command": "nothing"});
    assert_eq!(
        world.act(&usage).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_command_needs_a_proper_name_and_a_description() {
    let world = start().await;
    let path = format!("/applications/{}/commands", demo::CLIENT_ID);
    for command in [json!({"name": "Why", "description": "x"}), json!({"name": "why"})] {
        let response = world
            .bot(Method::PUT, &path)
            .json(&json!([command]))
            .send()
            .await
            .unwrap();
        assert_eq!(refusal(response).await, (400, 50035));
    }
    let listed: Value = world.get(&path).await.json().await.unwrap();
    assert_eq!(listed, json!([]));
}
