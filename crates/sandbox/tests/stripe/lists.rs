//! Long lists, every status, and lists that lie.

use chrono::TimeDelta;
use rolecall_sandbox::stripe::faults::{FaultKind, RequestFault};
use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::support::{Fixture, MONTHLY, start_of_2027};

const LIST: &str = "GET /v1/subscriptions";

/// All pages, or the status of the first that failed.
async fn sweep(fixture: &Fixture, most: usize) -> Result<Vec<String>, u16> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..most {
        let after = seen.last().map(|id| format!("&starting_after={id}"));
        let path = format!(
            "/v1/subscriptions?status=all&limit=100{}",
            after.unwrap_or_default()
        );
        let (status, page) = fixture.get(&path).await;
        if status != 200 {
            return Err(status.as_u16());
        }
        let rows = page["data"].as_array().unwrap().iter();
        seen.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
        if page["has_more"] == false {
            break;
        }
    }
    Ok(seen)
}

fn fault(times: u32, fault: FaultKind) -> RequestFault {
    RequestFault {
        path_contains: Some(LIST.to_owned()),
        times: Some(times),
        fault,
    }
}

#[tokio::test]
async fn ten_thousand_subscriptions_are_made_and_found() {
    let fixture = Fixture::start().await;
    let made = fixture.stripe.seed_many(MONTHLY, 10_000).unwrap();
    assert_eq!(fixture.event_types().len(), 0);
    let last = made.last().unwrap();
    let page = fixture.show("/v1/subscriptions?status=all&limit=3").await;
    assert_eq!(page["data"][0]["id"], last.as_str());
    assert_eq!(page["has_more"], true);
    let (first, second) = (&made[0], &made[1]);
    let path = format!("/v1/subscriptions?status=all&limit=100&starting_after={second}");
    let page = fixture.show(&path).await;
    assert_eq!(page["data"][0]["id"], first.as_str());
    assert_eq!(page["has_more"], false);
    fixture.stripe.fail_payment(first).unwrap();
    let owing = fixture.show("/v1/subscriptions?status=past_due").await;
    assert_eq!(owing["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_status_is_a_filter() {
    let fixture = Fixture::start().await;
    let seed = || fixture.subscribe(Card::Works);
    let acts = [
        ("active", None),
        ("past_due", Some(Action::FailPayment)),
        ("unpaid", Some(Action::MarkUnpaid)),
        ("paused", Some(Action::Pause)),
        ("canceled", Some(Action::Cancel)),
    ];
    let mut expected = Vec::new();
    for (status, act) in acts {
        let id = seed();
        if let Some(act) = act {
            fixture.stripe.act(&id, &act).unwrap();
        }
        expected.push((status, id));
    }
    let customer = fixture.ok("/v1/customers", &[]).await;
    let customer = customer["id"].as_str().unwrap();
    for (status, more) in [
        ("trialing", ("trial_period_days", "9")),
        ("incomplete", ("payment_behavior", "default_incomplete")),
    ] {
        let form = [("customer", customer), ("items[0][price]", MONTHLY), more];
        let made = fixture.ok("/v1/subscriptions", &form).await;
        assert_eq!(made["status"], status);
        expected.push((status, made["id"].as_str().unwrap().to_owned()));
    }
    for (status, id) in &expected {
        let list = fixture.show(&format!("/v1/subscriptions?status={status}")).await;
        let rows = list["data"].as_array().unwrap();
        assert_eq!((rows.len(), &rows[0]["id"]), (1, &id.as_str().into()), "{status}");
    }
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(1))
        .unwrap();
    let expired = fixture.show("/v1/subscriptions?status=incomplete_expired").await;
    assert_eq!(expired["data"].as_array().unwrap().len(), 1);
    let ended = fixture.show("/v1/subscriptions?status=ended").await;
    assert_eq!(ended["data"].as_array().unwrap().len(), 2);
    let soon = start_of_2027().timestamp() + 20 * 86_400;
    let trials = fixture
        .show(&format!("/v1/subscriptions?current_period_end[lt]={soon}"))
        .await;
    assert_eq!(trials["data"][0]["status"], "trialing");
    assert_eq!(trials["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_can_be_empty_by_mistake() {
    let fixture = Fixture::start().await;
    let made = fixture.stripe.seed_many(MONTHLY, 5).unwrap();
    fixture.stripe.add_request_fault(fault(1, FaultKind::EmptyList));
    assert_eq!(sweep(&fixture, 9).await, Ok(Vec::new()));
    assert_eq!(sweep(&fixture, 9).await.unwrap().len(), made.len());
}

#[tokio::test]
async fn a_list_can_end_in_the_middle() {
    let fixture = Fixture::start().await;
    fixture.stripe.seed_many(MONTHLY, 250).unwrap();
    let then = Box::new(FaultKind::HalfList);
    let on_page_two = FaultKind::After { requests: 1, then };
    fixture.stripe.add_request_fault(fault(1, on_page_two));
    assert_eq!(sweep(&fixture, 9).await.unwrap().len(), 150);
}

#[tokio::test]
async fn a_list_can_fail_on_its_third_page() {
    let fixture = Fixture::start().await;
    let made = fixture.stripe.seed_many(MONTHLY, 250).unwrap();
    let then = Box::new(FaultKind::Status {
        status: 503,
        retry_after: None,
        applied: false,
    });
    let on_page_three = FaultKind::After { requests: 2, then };
    fixture.stripe.add_request_fault(fault(1, on_page_three));
    assert_eq!(sweep(&fixture, 9).await, Err(503));
    let one = fixture.show(&format!("/v1/subscriptions/{}", made[0])).await;
    assert_eq!(one["id"], made[0].as_str(), "only the list is at fault");
    assert_eq!(sweep(&fixture, 9).await.unwrap().len(), 250);
}

#[tokio::test]
async fn a_list_can_go_round_in_circles() {
    let fixture = Fixture::start().await;
    fixture.stripe.seed_many(MONTHLY, 3).unwrap();
    fixture.stripe.add_request_fault(fault(4, FaultKind::EndlessList));
    let seen = sweep(&fixture, 4).await.unwrap();
    assert_eq!(seen.len(), 12);
    assert_eq!(seen[..3], seen[9..]);
}

#[tokio::test]
async fn faults_of_lists_leave_other_answers_as_they_are() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    for kind in [FaultKind::EmptyList, FaultKind::HalfList, FaultKind::EndlessList] {
        fixture.stripe.add_request_fault(RequestFault {
            path_contains: Some("/v1/subscriptions/*".to_owned()),
            times: Some(1),
            fault: kind,
        });
        let shown = fixture.show(&format!("/v1/subscriptions/{id}")).await;
        assert_eq!(shown["status"], Value::from("active"));
    }
}
