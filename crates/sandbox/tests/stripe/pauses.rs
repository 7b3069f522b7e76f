//! Both pauses, and going on after them.

use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::world::subscription::PauseBehavior;
use serde_json::Value;

use crate::support::{Fixture, start_of_2027};

fn show(fixture: &Fixture, id: &str) -> Value {
    fixture.stripe.object(id).unwrap()
}

fn latest_invoice(fixture: &Fixture, id: &str) -> Value {
    show(fixture, show(fixture, id)["latest_invoice"].as_str().unwrap())
}

#[tokio::test]
async fn paused_collection_makes_of_invoices_what_it_says_and_leaves_the_status() {
    for (behavior, status) in [
        (PauseBehavior::Void, "void"),
        (PauseBehavior::MarkUncollectible, "uncollectible"),
        (PauseBehavior::KeepAsDraft, "draft"),
    ] {
        let fixture = Fixture::start().await;
        let id = fixture.subscribe(Card::Works);
        let pause = Action::PauseCollectionAs {
            behavior,
            resumes_at: None,
        };
        let events = fixture.caused(|| fixture.stripe.act(&id, &pause).unwrap());
        assert_eq!(events, ["customer.subscription.updated"]);
        fixture.stripe.renew(&id).unwrap();
        assert_eq!(show(&fixture, &id)["status"], "active");
        assert_eq!(latest_invoice(&fixture, &id)["status"], status);
    }
}

#[tokio::test]
async fn a_pause_on_demand_is_made_and_ended_by_the_api() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let path = format!("/v1/subscriptions/{id}");
    assert_eq!(
        fixture.refused(&format!("{path}/pause"), &[]).await["param"],
        "type"
    );
    let paused = fixture
        .ok(&format!("{path}/pause"), &[("type", "subscription")])
        .await;
    assert_eq!(paused["status"], "paused");
    let details = &paused["status_details"]["paused"];
    assert_eq!(details["subscription"]["type"], "pause_requested");
    assert_eq!(details["transitioned_at"], start_of_2027().timestamp());
    fixture
        .stripe
        .advance_to(start_of_2027() + chrono::TimeDelta::days(40))
        .unwrap();
    assert_eq!(
        latest_invoice(&fixture, &id)["billing_reason"],
        "subscription_create",
        "nothing is billed while it is paused"
    );
    let resumed = fixture.ok(&format!("{path}/resume"), &[]).await;
    assert_eq!(resumed["status"], "active");
    assert!(resumed.get("status_details").is_none());
    let types = fixture.event_types();
    assert!(types.contains(&"customer.subscription.paused".to_owned()));
    assert!(types.contains(&"customer.subscription.resumed".to_owned()));
    assert_eq!(
        fixture.refused(&format!("{path}/resume"), &[]).await["type"],
        "invalid_request_error"
    );
}

#[tokio::test]
async fn what_resumes_with_its_payment_waits_for_it() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::FailsLater);
    fixture.stripe.act(&id, &Action::Pause).unwrap();
    let path = format!("/v1/subscriptions/{id}/resume");
    let form = [("payment_behavior", "resume_on_payment_success")];
    assert_eq!(fixture.ok(&path, &form).await["status"], "paused");
    assert_eq!(latest_invoice(&fixture, &id)["status"], "open");
    let events = fixture.caused(|| fixture.stripe.pay_open_invoice(&id).unwrap());
    assert_eq!(events.last().unwrap(), "customer.subscription.resumed");
    assert_eq!(show(&fixture, &id)["status"], "active");
}

#[tokio::test]
async fn a_payment_to_resume_that_does_not_come_is_given_up_after_23_hours() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::FailsLater);
    fixture.stripe.act(&id, &Action::Pause).unwrap();
    fixture.stripe.act(&id, &Action::ResumeWhenPaid).unwrap();
    let later = start_of_2027() + chrono::TimeDelta::hours(23);
    fixture.stripe.advance_to(later).unwrap();
    assert_eq!(latest_invoice(&fixture, &id)["status"], "void");
    assert_eq!(show(&fixture, &id)["status"], "paused");
}
