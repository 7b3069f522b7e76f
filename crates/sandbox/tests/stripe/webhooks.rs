//! Signatures, order, retries, holds, versions of payloads.

use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::world::event::DeliveryState;
use rolecall_sandbox::stripe::{Config, EndpointConfig};
use sha2::{Digest as _, Sha256};

use crate::support::{Fixture, LIMIT, MONTHLY, Receiver, SECRET, config, start_of_2027};

fn subscribe(fixture: &Fixture) -> String {
    fixture
        .stripe
        .seed_subscription("a@example.com", Card::Works, MONTHLY, 1, Metadata::new())
        .unwrap()
}

/// HMAC-SHA256 written out after RFC 2104, so that the sender's library is not its own judge.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([block.map(|byte| byte ^ 0x36).as_slice(), message].concat());
    hex::encode(Sha256::digest(
        [block.map(|byte| byte ^ 0x5c).as_slice(), &inner].concat(),
    ))
}

fn expected_v1(signature: &str, body: &[u8], secret: &str) -> String {
    let timestamp = signature.strip_prefix("t=").unwrap().split(',').next().unwrap();
    format!(
        "v1={}",
        hmac(secret.as_bytes(), &[timestamp.as_bytes(), b".", body].concat())
    )
}

#[tokio::test]
async fn every_webhook_is_signed_over_its_raw_body_at_the_time_of_the_wall() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    subscribe(&fixture);
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    let received = receiver.received();
    assert_eq!(received.len(), fixture.stripe.events().len());
    for hook in received {
        assert!(
            hook.signature
                .starts_with(&format!("t={},", start_of_2027().timestamp()))
        );
        assert!(
            hook.signature
                .ends_with(&expected_v1(&hook.signature, &hook.body, SECRET)),
            "{}",
            hook.signature
        );
        assert!(hook.body.starts_with(b"{\n  \""), "Stripe indents by two spaces");
    }
    assert_eq!(
        receiver.types(),
        fixture.event_types(),
        "one at a time keeps the order"
    );
}

#[tokio::test]
async fn while_a_secret_is_rolled_both_sign() {
    let receiver = Receiver::start();
    let fixture = Fixture::start().await;
    let endpoint = fixture
        .stripe
        .add_endpoint(&EndpointConfig::all(receiver.url(), "whsec_old"));
    fixture.stripe.roll_secret(&endpoint, "whsec_new", true);
    fixture.ok("/v1/customers", &[]).await;
    let hook = receiver.wait_for(1).await.remove(0);
    for secret in ["whsec_old", "whsec_new"] {
        assert!(
            hook.signature
                .contains(&expected_v1(&hook.signature, &hook.body, secret)),
            "{secret}"
        );
    }
    fixture.stripe.roll_secret(&endpoint, "whsec_newest", false);
    fixture.ok("/v1/customers", &[]).await;
    let hook = receiver.wait_for(2).await.remove(1);
    assert_eq!(hook.signature.matches("v1=").count(), 1);
}

#[tokio::test]
async fn an_endpoint_that_fails_is_tried_again_until_it_takes_the_event() {
    let receiver = Receiver::start();
    receiver.answer_next(&[503, 302]);
    let fixture = Fixture::start_for(&receiver).await;
    fixture.ok("/v1/customers", &[]).await;
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    let delivery = fixture.stripe.deliveries().remove(0);
    assert_eq!(delivery.state, DeliveryState::Delivered);
    let statuses: Vec<Option<u16>> = delivery.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(503), Some(302), Some(200)]);
}

#[tokio::test]
async fn an_endpoint_that_never_takes_it_is_given_up_and_can_be_sent_to_again() {
    let receiver = Receiver::start();
    receiver.answer_with(500);
    let fixture = Fixture::start_for(&receiver).await;
    fixture.ok("/v1/customers", &[]).await;
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    assert_eq!(fixture.stripe.deliveries()[0].state, DeliveryState::Failed);
    assert_eq!(receiver.received().len(), 4);
    let (_, missed) = fixture.get("/v1/events?delivery_success=false").await;
    let event = missed["data"][0]["id"].as_str().unwrap().to_owned();

    receiver.answer_with(200);
    fixture.stripe.resend(&event).unwrap();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    assert_eq!(receiver.received().last().unwrap().event_id(), event);
}

#[tokio::test]
async fn held_webhooks_leave_when_they_are_released() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    fixture.stripe.hold();
    subscribe(&fixture);
    assert_eq!(
        fixture.stripe.read(|world| world.queue.len()),
        fixture.stripe.events().len()
    );
    assert_eq!(receiver.received().len(), 0);
    fixture.stripe.release();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    assert_eq!(receiver.received().len(), fixture.stripe.events().len());
}

#[tokio::test]
async fn an_endpoint_gets_what_it_asked_for_in_its_version() {
    let receiver = Receiver::start();
    let endpoint = EndpointConfig {
        enabled_events: vec![
            "customer.subscription.updated".to_owned(),
            "invoice.paid".to_owned(),
        ],
        api_version: Some("2024-06-20".to_owned()),
        ..EndpointConfig::all(receiver.url(), SECRET)
    };
    let fixture = Fixture::start_with(Config {
        endpoints: vec![endpoint],
        ..config()
    })
    .await;
    let id = subscribe(&fixture);
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    assert_eq!(
        receiver.types(),
        ["invoice.paid", "customer.subscription.updated"]
    );
    let hooks = receiver.received();
    let (invoice, subscription) = (hooks[0].json(), hooks[1].json());
    assert_eq!(invoice["api_version"], "2024-06-20");
    assert_eq!(invoice["data"]["object"]["subscription"], id.as_str());
    assert!(subscription["data"]["object"]["current_period_end"].is_i64());
}

#[tokio::test]
async fn endpoints_are_made_through_the_api_and_a_disabled_one_gets_nothing() {
    let receiver = Receiver::start();
    let fixture = Fixture::start().await;
    let form = [
        ("url", receiver.url()),
        ("enabled_events[]", "customer.created".to_owned()),
    ];
    let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
    let endpoint = fixture.ok("/v1/webhook_endpoints", &form).await;
    let secret = endpoint["secret"].as_str().unwrap();
    let path = format!("/v1/webhook_endpoints/{}", endpoint["id"].as_str().unwrap());
    fixture.ok("/v1/customers", &[]).await;
    let hook = receiver.wait_for(1).await.remove(0);
    assert!(
        hook.signature
            .ends_with(&expected_v1(&hook.signature, &hook.body, secret))
    );
    assert!(
        fixture.get(&path).await.1.get("secret").is_none(),
        "the secret is told once"
    );

    fixture.ok(&path, &[("disabled", "true")]).await;
    fixture.ok("/v1/customers", &[]).await;
    assert_eq!(fixture.stripe.deliveries().len(), 1);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_an_endpoint_that_never_answers() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let endpoints = vec![EndpointConfig::all(url, SECRET)];
    let fixture = Fixture::start_with(Config {
        endpoints,
        ..config()
    })
    .await;
    fixture.ok("/v1/customers", &[]).await;
    let _silent = tokio::time::timeout(LIMIT, listener.accept())
        .await
        .unwrap()
        .unwrap();
    let quick = std::time::Duration::from_secs(5);
    tokio::time::timeout(quick, fixture.stripe.shutdown())
        .await
        .unwrap();
}
