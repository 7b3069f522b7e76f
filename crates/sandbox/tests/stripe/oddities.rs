//! What should not happen and does.

use reqwest::Method;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::world::event::DeliveryState;
use serde_json::Value;

use crate::support::{Fixture, LIMIT, MONTHLY, Receiver, answer};

#[tokio::test]
async fn a_deleted_product_is_a_trace_and_what_it_sold_goes_on() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let product = fixture.show(&format!("/v1/prices/{MONTHLY}")).await["product"].clone();
    let product = product.as_str().unwrap();
    let path = format!("/v1/products/{product}");
    let (status, _) = answer(fixture.request(Method::DELETE, &path)).await;
    assert_eq!(status, 400, "the API deletes no product that has prices");
    fixture.stripe.delete_product(product).unwrap();
    assert_eq!(fixture.newest("product.deleted")["data"]["object"]["id"], product);
    let trace = serde_json::json!({ "id": product, "object": "product", "deleted": true });
    assert_eq!(fixture.show(&path).await, trace);
    let price = fixture
        .show(&format!("/v1/prices/{MONTHLY}?expand[]=product"))
        .await;
    assert_eq!(price["product"], trace);
    assert_eq!(fixture.post(&path, &[("name", "Again")]).await.0, 404);
    fixture.stripe.renew(&id).unwrap();
    assert_eq!(fixture.stripe.object(&id).unwrap()["status"], "active");
}

#[tokio::test]
async fn a_deleted_price_is_not_found_and_an_archived_one_is_not_sold() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let buy = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", MONTHLY),
        ("line_items[0][quantity]", "1"),
    ];
    fixture.stripe.archive_price(MONTHLY, true).unwrap();
    let told = fixture.newest("price.updated");
    assert_eq!(told["data"]["previous_attributes"]["active"], true);
    let error = fixture.refused("/v1/checkout/sessions", &buy).await;
    assert_eq!(error["param"], "line_items[0][price]");
    fixture.stripe.archive_price(MONTHLY, false).unwrap();
    fixture.ok("/v1/checkout/sessions", &buy).await;

    fixture.stripe.delete_price(MONTHLY).unwrap();
    assert_eq!(fixture.get(&format!("/v1/prices/{MONTHLY}")).await.0, 404);
    let error = fixture.refused("/v1/checkout/sessions", &buy).await;
    assert_eq!(error["code"], "resource_missing");
    fixture.stripe.renew(&id).unwrap();
    let shown = fixture.stripe.object(&id).unwrap();
    assert_eq!(shown["items"]["data"][0]["price"]["id"], MONTHLY);
    assert_eq!(shown["status"], "active");
}

#[tokio::test]
async fn a_deleted_customer_is_a_trace_and_one_without_mail_has_none() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let customer = fixture.stripe.object(&id).unwrap()["customer"].clone();
    let customer = customer.as_str().unwrap();
    fixture.stripe.delete_customer(customer).unwrap();
    let path = format!("/v1/customers/{customer}");
    let trace = serde_json::json!({ "id": customer, "object": "customer", "deleted": true });
    assert_eq!(fixture.show(&path).await, trace);
    let subscription = fixture
        .show(&format!("/v1/subscriptions/{id}?expand[]=customer"))
        .await;
    assert_eq!(
        (&subscription["status"], &subscription["customer"]),
        (&"canceled".into(), &trace)
    );
    let portal = [("customer", customer)];
    let error = fixture.refused("/v1/billing_portal/sessions", &portal).await;
    assert_eq!(error["code"], "resource_missing");

    let nobody = fixture.ok("/v1/customers", &[]).await;
    assert_eq!(nobody["email"], Value::Null);
}

#[tokio::test]
async fn a_subscription_of_another_account_is_told_of_and_cannot_be_read() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    fixture.subscribe(Card::Works);
    let (event, subscription) = fixture.stripe.tell_of_foreign_subscription().unwrap();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    let hook = receiver.received().pop().unwrap();
    assert_eq!(hook.event_id(), event);
    let object = hook.json()["data"]["object"].clone();
    assert_eq!(object["id"], subscription.as_str());
    let path = format!("/v1/subscriptions/{subscription}");
    assert_eq!(fixture.get(&path).await.0, 404);
    let customer = object["customer"].as_str().unwrap();
    assert_eq!(fixture.get(&format!("/v1/customers/{customer}")).await.0, 404);
}

#[tokio::test]
async fn an_event_of_the_other_mode_is_signed_and_sent_and_in_no_list() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    fixture.subscribe(Card::Works);
    let original = fixture.newest("customer.subscription.created");
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    let before = fixture.show("/v1/events?limit=100").await;
    let copy = fixture
        .stripe
        .tell_in_other_mode(original["id"].as_str().unwrap())
        .unwrap();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    let hook = receiver.received().pop().unwrap();
    assert_eq!(
        (hook.event_id(), &hook.json()["livemode"]),
        (copy.clone(), &true.into())
    );
    assert_eq!(fixture.get(&format!("/v1/events/{copy}")).await.0, 404);
    assert_eq!(fixture.show("/v1/events?limit=100").await, before);
}

#[tokio::test]
async fn an_endpoint_is_disabled_misses_types_or_has_another_version() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    let list = fixture.show("/v1/webhook_endpoints").await;
    let endpoint = list["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhook_endpoints/{endpoint}");
    let change = |change: fn(&mut rolecall_sandbox::stripe::world::event::Endpoint)| {
        fixture.stripe.change_endpoint(&endpoint, change).unwrap();
    };
    change(|row| row.api_version = Some("2024-06-20".to_owned()));
    change(|row| row.enabled_events = vec!["customer.created".to_owned()]);
    let shown = fixture.show(&path).await;
    assert_eq!(shown["api_version"], "2024-06-20");
    assert_eq!(shown["enabled_events"], serde_json::json!(["customer.created"]));
    let seed = || {
        let seeded =
            fixture
                .stripe
                .seed_subscription("b@example.com", Card::Works, MONTHLY, 1, Metadata::new());
        seeded.unwrap()
    };
    seed();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    assert_eq!(receiver.types(), ["customer.created"]);
    change(|row| row.disabled = true);
    assert_eq!(fixture.show(&path).await["status"], "disabled");
    seed();
    change(|row| row.disabled = false);
    let delivered = fixture.stripe.deliveries();
    assert!(delivered.iter().all(|row| row.state == DeliveryState::Delivered));
    assert_eq!(delivered.len(), 1, "what happened meanwhile is not sent later");
}

#[tokio::test]
async fn an_idempotency_key_is_forgotten_after_a_day() {
    let fixture = Fixture::start().await;
    let create = async || {
        let request = fixture
            .request(Method::POST, "/v1/customers")
            .header("idempotency-key", "key-1");
        answer(request).await.1["id"].clone()
    };
    let first = create().await;
    assert_eq!(create().await, first);
    let clock = fixture.stripe.clock();
    clock.set_wall(clock.wall() + chrono::TimeDelta::hours(25));
    assert_ne!(create().await, first);
}
