//! Faults on demand.

use reqwest::{Method, StatusCode};
use rolecall_sandbox::discord::faults::{Fault, FaultKind};
use serde_json::Value;

use super::support::{ADA, COUNCIL, GUILD, soon, start};

#[tokio::test]
async fn a_lie_answers_204_and_changes_nothing() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    world
        .discord
        .add_fault(Fault::new(FaultKind::Lie).path("/roles/").times(1));
    assert_eq!(
        world.role(Method::PUT, ADA, COUNCIL).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![]));
    assert_eq!(
        world.role(Method::PUT, ADA, COUNCIL).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![COUNCIL]));
}

#[tokio::test]
async fn a_lost_answer_was_carried_out_and_a_dropped_request_was_not() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let path = format!("/guilds/{GUILD}/members/{ADA}/roles/{COUNCIL}");
    world
        .discord
        .add_fault(Fault::new(FaultKind::Drop).method("PUT").times(1));
    assert!(world.bot(Method::PUT, &path).send().await.is_err());
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![]));
    world
        .discord
        .add_fault(Fault::new(FaultKind::LoseAnswer).method("PUT").times(1));
    assert!(world.bot(Method::PUT, &path).send().await.is_err());
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![COUNCIL]));
    let log = world.discord.requests();
    let faults: Vec<_> = log
        .iter()
        .map(|entry| (entry.fault.as_deref(), entry.status))
        .collect();
    assert_eq!(faults, [(Some("drop"), None), (Some("lose_answer"), None)]);
}

#[tokio::test]
async fn a_server_error_is_not_json_and_garbage_only_says_so() {
    let world = start().await;
    world
        .discord
        .add_fault(Fault::new(FaultKind::Status { status: 503 }).times(1));
    let failed = world.get("/users/@me").await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.json::<Value>().await.is_err());
    world.discord.add_fault(Fault::new(FaultKind::Garbage).times(1));
    let garbage = world.get("/users/@me").await;
    assert_eq!(garbage.status(), StatusCode::OK);
    assert!(garbage.json::<Value>().await.is_err());
    assert!(world.get("/users/@me").await.json::<Value>().await.is_ok());
}

#[tokio::test]
async fn a_request_hangs_until_the_faults_are_cleared() {
    let world = start().await;
    world.discord.add_fault(Fault::new(FaultKind::Hang).times(1));
    let hanging = world.bot(Method::GET, "/users/@me").send();
    let clearing = async {
        // The fault is used up by the request that it meets.
        world
            .discord
            .wait_until(|discord| discord.state().faults.is_empty())
            .await;
        assert!(world.discord.requests().is_empty(), "it is not answered yet");
        world.discord.clear_faults();
    };
    let (answer, ()) = soon(async { tokio::join!(hanging, clearing) }).await;
    assert!(answer.is_err(), "a request that hung is cut");
    assert_eq!(world.discord.requests()[0].fault.as_deref(), Some("hang"));
    assert_eq!(world.get("/users/@me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_is_json_with_the_code_that_was_asked_for_and_counts_as_discords_do() {
    let world = start().await;
    for (status, code) in [(403, 50_001), (403, 0), (404, 10_007)] {
        world
            .discord
            .add_fault(Fault::new(FaultKind::Refuse { status, code }).times(1));
        let refused = world.get("/users/@me").await;
        assert_eq!(refused.status().as_u16(), status);
        assert_eq!(refused.json::<Value>().await.unwrap()["code"], code);
    }
    assert_eq!(world.discord.invalid_requests(), 2);
}
