//! Faults on demand: of webhooks, by seed, and of the API.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use rolecall_sandbox::stripe::faults::{DeliveryFaults, FaultKind, RequestFault, Snapshot};
use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::world::event::DeliveryState;

use crate::support::{Fixture, LIMIT, MONTHLY, Receiver, answer};

/// What arrives, by type, when the same story is told under the same faults.
async fn arrivals(seed: u64) -> Vec<String> {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    let faults = DeliveryFaults {
        drop_percent: 20,
        duplicate_percent: 30,
        copies: 3,
        shuffle_window: 8,
        ..DeliveryFaults::default()
    };
    fixture.stripe.hold();
    fixture.stripe.set_delivery_faults(faults, Some(seed));
    for number in 0..4 {
        let email = format!("m{number}@example.com");
        fixture
            .stripe
            .seed_subscription(&email, Card::Works, MONTHLY, 1, Metadata::new())
            .unwrap();
    }
    fixture.stripe.release();
    fixture.stripe.deliveries_settled(LIMIT).await.unwrap();
    receiver
        .received()
        .iter()
        .map(super::support::Received::event_id)
        .collect()
}

#[tokio::test]
async fn the_same_seed_drops_doubles_and_shuffles_the_same_webhooks() {
    let first = arrivals(7).await;
    assert_eq!(first, arrivals(7).await);
    assert_ne!(first, arrivals(8).await);
    let mut counts = BTreeMap::new();
    for event in &first {
        *counts.entry(event).or_insert(0) += 1;
    }
    assert!(
        counts.len() < 52,
        "some of the 52 events were dropped: {}",
        counts.len()
    );
    assert!(counts.values().any(|count| *count == 3), "some came three times");
}

#[tokio::test]
async fn a_dropped_webhook_is_listed_as_not_delivered() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    let faults = DeliveryFaults {
        drop_percent: 100,
        ..DeliveryFaults::default()
    };
    fixture.stripe.set_delivery_faults(faults, None);
    fixture.ok("/v1/customers", &[]).await;
    assert_eq!(fixture.stripe.deliveries()[0].state, DeliveryState::Dropped);
    let (_, missed) = fixture.get("/v1/events?delivery_success=false").await;
    assert_eq!(missed["data"][0]["type"], "customer.created");
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn an_event_that_was_never_generated_is_in_no_list() {
    let fixture = Fixture::start().await;
    let faults = DeliveryFaults {
        lose_event_percent: 100,
        ..DeliveryFaults::default()
    };
    fixture.stripe.set_delivery_faults(faults, None);
    fixture.ok("/v1/customers", &[]).await;
    assert_eq!(fixture.stripe.events().len(), 0);
}

fn once(fault: FaultKind) -> RequestFault {
    RequestFault {
        path_contains: None,
        times: Some(1),
        fault,
    }
}

#[tokio::test]
async fn a_rate_limit_is_answered_as_often_as_asked_with_its_retry_after() {
    let fixture = Fixture::start().await;
    let fault = FaultKind::Status {
        status: 429,
        retry_after: Some(3),
        applied: false,
    };
    fixture.stripe.add_request_fault(once(fault));
    let response = fixture.request(Method::GET, "/v1/account").send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "3");
    assert_eq!(fixture.get("/v1/account").await.0, 200);
}

/// Posts a customer under a key, and says how that was answered and whether the answer was a saved one.
async fn create(fixture: &Fixture, key: &str) -> (u16, bool) {
    let request = fixture
        .request(Method::POST, "/v1/customers")
        .header("idempotency-key", key);
    let response = request.send().await.unwrap();
    let is_saved = response.headers().contains_key("idempotent-replayed");
    (response.status().as_u16(), is_saved)
}

#[tokio::test]
async fn an_endpoint_that_fails_fails_the_same_under_the_same_key() {
    for applied in [true, false] {
        let fixture = Fixture::start().await;
        fixture.stripe.add_request_fault(once(FaultKind::Status {
            status: 500,
            retry_after: None,
            applied,
        }));
        assert_eq!(create(&fixture, "k").await, (500, false));
        assert_eq!(create(&fixture, "k").await, (500, true));
        let made = fixture.stripe.read(|world| world.customers.rows().len());
        assert_eq!(made, usize::from(applied));
        assert_eq!(create(&fixture, "another").await, (200, false));
    }
}

#[tokio::test]
async fn what_stands_before_the_endpoints_saves_nothing() {
    for status in [401, 409, 429, 502, 503] {
        let fixture = Fixture::start().await;
        fixture.stripe.add_request_fault(once(FaultKind::Status {
            status,
            retry_after: None,
            applied: false,
        }));
        assert_eq!(create(&fixture, "k").await, (status, false));
        assert_eq!(create(&fixture, "k").await, (200, false), "after {status}");
    }
}

#[tokio::test]
async fn a_call_may_take_effect_although_it_is_never_answered_and_its_key_saves_it() {
    let fixture = Fixture::start().await;
    let fault = FaultKind::Hang { applied: true };
    fixture.stripe.add_request_fault(once(fault));
    let hanging = fixture
        .request(Method::POST, "/v1/customers")
        .header("idempotency-key", "k")
        .timeout(Duration::from_millis(300))
        .send();
    assert!(hanging.await.unwrap_err().is_timeout());
    assert_eq!(create(&fixture, "k").await, (200, true));
    assert_eq!(fixture.stripe.read(|world| world.customers.rows().len()), 1);
}

#[tokio::test]
async fn a_hanging_call_gets_no_answer_and_does_not_hold_up_others_or_the_shutdown() {
    let fixture = Fixture::start().await;
    fixture
        .stripe
        .add_request_fault(once(FaultKind::Hang { applied: false }));
    let hanging = fixture
        .request(Method::GET, "/v1/account")
        .timeout(Duration::from_millis(300))
        .send();
    assert!(hanging.await.unwrap_err().is_timeout());
    assert_eq!(fixture.get("/v1/account").await.0, 200);
    tokio::time::timeout(LIMIT, fixture.stripe.shutdown())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_fault_on_the_third_page_is_asked_for_by_http() {
    let fixture = Fixture::start().await;
    let fault = serde_json::json!({
        "path_contains": "GET /v1/subscriptions",
        "times": 1,
        "fault": { "kind": "after", "requests": 2, "then": { "kind": "status", "status": 503 } },
    });
    let url = fixture.url("/_sandbox/faults/requests");
    let (status, _) = answer(fixture.client.post(url).json(&fault)).await;
    assert_eq!(status, 200);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(fixture.get("/v1/subscriptions").await.0.as_u16());
    }
    assert_eq!(statuses, [200, 200, 503, 200]);
}

#[tokio::test]
async fn garbage_is_no_json() {
    let fixture = Fixture::start().await;
    fixture.stripe.add_request_fault(once(FaultKind::Garbage));
    let (status, body) = fixture.get("/v1/account").await;
    assert_eq!(status, 200);
    assert!(body.as_str().unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn a_slow_answer_tells_the_state_from_before_or_after_its_wait() {
    for (snapshot, told) in [(Snapshot::Before, "active"), (Snapshot::After, "canceled")] {
        let fixture = Fixture::start().await;
        let seeded =
            fixture
                .stripe
                .seed_subscription("a@example.com", Card::Works, MONTHLY, 1, Metadata::new());
        let id = seeded.unwrap();
        let fault = FaultKind::Slow {
            delay_ms: 1_500,
            snapshot,
        };
        let path_contains = Some(id.clone());
        fixture.stripe.add_request_fault(RequestFault {
            path_contains,
            times: Some(1),
            fault,
        });
        let path = format!("/v1/subscriptions/{id}");
        let cancel = async {
            let asked = |world: &rolecall_sandbox::stripe::world::World| !world.requests.is_empty();
            fixture
                .stripe
                .wait_for("the slow request", LIMIT, asked)
                .await
                .unwrap();
            // The request is logged before it is served; one that is served at once is served by now.
            tokio::task::yield_now().await;
            fixture.get("/v1/account").await;
            fixture.stripe.act(&id, &Action::Cancel).unwrap();
        };
        let ((_, answer), ()) = tokio::join!(fixture.get(&path), cancel);
        assert_eq!(answer["status"], told, "{snapshot:?}");
    }
}

#[tokio::test]
async fn a_new_status_is_the_right_answer_but_for_its_status() {
    let fixture = Fixture::start().await;
    let seeded = fixture
        .stripe
        .seed_subscription("a@example.com", Card::Works, MONTHLY, 1, Metadata::new());
    let path = format!("/v1/subscriptions/{}", seeded.unwrap());
    let (_, mut right) = fixture.get(&path).await;
    assert_eq!(right["status"], "active");
    fixture.stripe.add_request_fault(once(FaultKind::NewStatus));
    let (status, body) = fixture.get(&path).await;
    assert_eq!(status, 200);
    right["status"] = "hibernating".into();
    assert_eq!(body, right);
}
