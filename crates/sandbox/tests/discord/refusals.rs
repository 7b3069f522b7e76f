//! What is refused before any handler looks at it.

use reqwest::{Method, header};
use serde_json::Value;

use super::support::{ADA, COUNCIL, GUILD, refusal, start};

#[tokio::test]
async fn a_wrong_token_a_wrong_path_and_a_wrong_method_are_told_apart() {
    let world = start().await;
    let member = format!("/guilds/{GUILD}/members/{ADA}");
    let anonymous = world.call(Method::GET, &member).send().await.unwrap();
    assert_eq!(refusal(anonymous).await, (401, 0));
    for token in ["Bot wrong", "MTEwMDAw", "Bearer wrong"] {
        let request = world
            .call(Method::GET, &member)
            .header(header::AUTHORIZATION, token);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{token}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["message"], "401: Unauthorized");
    }
    assert_eq!(refusal(world.get("/guilds/1/nothing").await).await, (404, 0));
    let wrong_method = world
        .bot(Method::POST, &format!("{member}/roles/{COUNCIL}"))
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(wrong_method).await, (405, 0));
}

#[tokio::test]
async fn a_request_without_user_agent_is_refused() {
    let world = start().await;
    let response = world
        .http
        .get(world.url("/api/v10/gateway"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 400);
    assert_eq!(
        world
            .call(Method::GET, "/gateway")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16(),
        200
    );
}

#[tokio::test]
async fn a_persons_token_is_not_the_bots() {
    let world = start().await;
    let token = world.access_token(ADA, "identify").await;
    let path = format!("/guilds/{GUILD}/roles");
    let response = world
        .call(Method::GET, &path)
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(response).await, (401, 0));
}

#[tokio::test]
async fn every_request_is_in_the_log_with_its_answer() {
    let world = start().await;
    world.get("/users/@me").await;
    world.get("/guilds/1").await;
    let log = world.discord.requests();
    let seen: Vec<_> = log
        .iter()
        .map(|entry| (entry.path.as_str(), entry.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("/api/v10/users/@me", Some(200)),
            ("/api/v10/guilds/1", Some(404))
        ]
    );
    assert_eq!(log[1].number, 2);
}
