//! Rate limits on the wire.

use reqwest::{Method, Response};
use rolecall_sandbox::discord::{
    faults::{Fault, FaultKind},
    limits::{answer::Scope, rules::MEMBER_ROLES},
};
use serde_json::{Value, json};

use super::support::{ADA, BEN, COUNCIL, World, header_of, start, start_with};

async fn members_and_limit(limit: u32) -> World {
    let world = start().await;
    world.discord.join(super::support::GUILD, ADA).unwrap();
    world.discord.join(super::support::GUILD, BEN).unwrap();
    world.discord.set_limit(MEMBER_ROLES, limit, 600_000).unwrap();
    world
}

fn text(response: &Response, name: &str) -> String {
    header_of(response, name).unwrap_or_else(|| panic!("no {name}"))
}

fn number(response: &Response, name: &str) -> f64 {
    text(response, name).parse().unwrap()
}

#[tokio::test]
async fn every_answer_says_what_is_left_and_after_the_limit_comes_429() {
    let world = members_and_limit(2).await;
    for (user, left) in [(ADA, "1"), (BEN, "0")] {
        let response = world.role(Method::PUT, user, COUNCIL).await;
        assert_eq!(response.status().as_u16(), 204);
        assert_eq!(text(&response, "x-ratelimit-limit"), "2");
        assert_eq!(text(&response, "x-ratelimit-remaining"), left);
        let reset_after = number(&response, "x-ratelimit-reset-after");
        assert!(reset_after > 500.0 && reset_after <= 600.0);
        assert!(number(&response, "x-ratelimit-reset") > 1_700_000_000.0);
        assert_eq!(
            header_of(&response, "x-ratelimit-scope"),
            None,
            "the scope is told only with a 429"
        );
    }
    let refused = world.role(Method::PUT, ADA, COUNCIL).await;
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(header_of(&refused, "x-ratelimit-scope").as_deref(), Some("user"));
    assert_eq!(header_of(&refused, "x-ratelimit-global"), None);
    assert_eq!(text(&refused, "x-ratelimit-remaining"), "0");
    let wait = number(&refused, "retry-after");
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["global"], false);
    let precise = body["retry_after"].as_f64().unwrap();
    assert!(precise <= wait && wait < precise + 1.0);
    assert_eq!(world.discord.invalid_requests(), 1);
}

#[tokio::test]
async fn giving_and_taking_share_a_bucket_and_other_routes_do_not() {
    let world = members_and_limit(1).await;
    let put = world.role(Method::PUT, ADA, COUNCIL).await;
    let delete = world.role(Method::DELETE, BEN, COUNCIL).await;
    assert_eq!(delete.status().as_u16(), 429);
    assert_eq!(
        header_of(&put, "x-ratelimit-bucket"),
        header_of(&delete, "x-ratelimit-bucket")
    );
    let other = world.get("/users/@me").await;
    assert_eq!(other.status().as_u16(), 200);
    assert_ne!(
        header_of(&put, "x-ratelimit-bucket"),
        header_of(&other, "x-ratelimit-bucket")
    );
}

#[tokio::test]
async fn a_limit_can_change_while_clients_run() {
    let world = members_and_limit(1).await;
    world.role(Method::PUT, ADA, COUNCIL).await;
    assert_eq!(world.role(Method::PUT, BEN, COUNCIL).await.status().as_u16(), 429);
    world.discord.set_limit(MEMBER_ROLES, 3, 600_000).unwrap();
    let response = world.role(Method::PUT, BEN, COUNCIL).await;
    assert_eq!(response.status().as_u16(), 204);
    assert_eq!(text(&response, "x-ratelimit-limit"), "3");
}

#[tokio::test]
async fn the_global_limit_is_told_as_global() {
    let world = start_with(|config| config.limits.global_per_second = 0).await;
    let refused = world.get("/users/@me").await;
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(
        header_of(&refused, "x-ratelimit-scope").as_deref(),
        Some("global")
    );
    assert_eq!(header_of(&refused, "x-ratelimit-global").as_deref(), Some("true"));
    assert_eq!(header_of(&refused, "x-ratelimit-bucket"), None);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["global"], true);
    let path = "/interactions/1/token/callback";
    let interaction = world
        .call(Method::POST, path)
        .json(&json!({"type": 4}))
        .send()
        .await
        .unwrap();
    assert_ne!(
        interaction.status().as_u16(),
        429,
        "interactions are not under it"
    );
}

#[tokio::test]
async fn a_shared_429_is_no_invalid_request_and_cloudflares_has_no_json() {
    let world = start().await;
    let shared = FaultKind::TooMany {
        retry_after_ms: 1_200,
        scope: Scope::Shared,
    };
    world.discord.add_fault(Fault::new(shared).times(1));
    let refused = world.get("/users/@me").await;
    assert_eq!(
        header_of(&refused, "x-ratelimit-scope").as_deref(),
        Some("shared")
    );
    assert_eq!(header_of(&refused, "retry-after").as_deref(), Some("2"));
    assert!(header_of(&refused, "x-ratelimit-bucket").is_some());
    assert_eq!(world.discord.invalid_requests(), 0);

    world
        .discord
        .add_fault(Fault::new(FaultKind::Cloudflare { retry_after_s: 30 }).times(1));
    let refused = world.get("/users/@me").await;
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(header_of(&refused, "retry-after").as_deref(), Some("30"));
    assert_eq!(header_of(&refused, "x-ratelimit-scope"), None);
    assert!(refused.text().await.unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(world.discord.invalid_requests(), 1);
}

#[tokio::test]
async fn too_many_invalid_requests_are_banned() {
    let world = start_with(|config| config.limits.invalid_requests = 2).await;
    for _ in 0..2 {
        world.call(Method::GET, "/users/@me").send().await.unwrap();
    }
    let banned = world.get("/users/@me").await;
    assert_eq!(banned.status().as_u16(), 429);
    assert_eq!(header_of(&banned, "server").as_deref(), Some("cloudflare"));
}
