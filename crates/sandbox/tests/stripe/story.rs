//! Renewals, failures, pauses, changes, and time.

use chrono::{TimeDelta, Utc};
use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::support::{Fixture, MONTHLY, start_of_2027};

fn subscribe(fixture: &Fixture, card: Card) -> String {
    let id = fixture
        .stripe
        .seed_subscription("ada@example.com", card, MONTHLY, 2, Metadata::new());
    id.unwrap()
}

fn show(fixture: &Fixture, id: &str) -> Value {
    fixture.stripe.object(id).unwrap()
}

fn latest_invoice(fixture: &Fixture, subscription: &str) -> Value {
    let id = show(fixture, subscription)["latest_invoice"]
        .as_str()
        .unwrap()
        .to_owned();
    show(fixture, &id)
}

/// The types of the events that `act` causes.
fn caused(fixture: &Fixture, act: impl FnOnce()) -> Vec<String> {
    let before = fixture.event_types().len();
    act();
    fixture.event_types().split_off(before)
}

#[tokio::test]
async fn a_failed_renewal_is_owed_and_a_payment_heals_it() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    let events = caused(&fixture, || fixture.stripe.fail_payment(&id).unwrap());
    let expected = [
        "invoice.created",
        "customer.subscription.updated",
        "payment_intent.created",
        "invoice.finalized",
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
    ];
    assert_eq!(events, expected);
    let invoice = latest_invoice(&fixture, &id);
    assert_eq!(
        (&invoice["status"], &invoice["attempt_count"]),
        (&"open".into(), &1.into())
    );
    assert_eq!(invoice["amount_remaining"], 5_800);
    assert_eq!(show(&fixture, &id)["status"], "past_due");

    let events = caused(&fixture, || fixture.stripe.pay_open_invoice(&id).unwrap());
    let expected = [
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ];
    assert_eq!(events, expected);
    assert_eq!(show(&fixture, &id)["status"], "active");
    assert_eq!(latest_invoice(&fixture, &id)["status"], "paid");
}

#[tokio::test]
async fn time_renews_retries_and_at_last_cancels() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::FailsLater);
    let to = |days: i64| start_of_2027() + TimeDelta::days(days);
    fixture.stripe.advance_to(to(32)).unwrap();
    assert_eq!(show(&fixture, &id)["status"], "past_due");
    assert_eq!(latest_invoice(&fixture, &id)["attempt_count"], 1);
    fixture.stripe.advance_to(to(40)).unwrap();
    assert_eq!(latest_invoice(&fixture, &id)["attempt_count"], 3);
    fixture.stripe.advance_to(to(60)).unwrap();
    let ended = show(&fixture, &id);
    assert_eq!(
        (&ended["status"], &ended["cancellation_details"]["reason"]),
        (&"canceled".into(), &"payment_failed".into())
    );
}

#[tokio::test]
async fn a_subscription_that_is_to_end_with_the_period_ends_then_and_not_before() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    let updated = fixture
        .ok(
            &format!("/v1/subscriptions/{id}"),
            &[("cancel_at_period_end", "true")],
        )
        .await;
    let end = updated["items"]["data"][0]["current_period_end"]
        .as_i64()
        .unwrap();
    assert_eq!(updated["cancel_at"], end);
    let end = chrono::DateTime::<Utc>::from_timestamp(end, 0).unwrap();
    fixture.stripe.advance_to(end - TimeDelta::seconds(1)).unwrap();
    assert_eq!(show(&fixture, &id)["status"], "active");
    let events = caused(&fixture, || {
        assert_eq!(fixture.stripe.advance_to(end).unwrap(), 1);
    });
    assert_eq!(events, ["customer.subscription.deleted"]);
    assert_eq!(show(&fixture, &id)["ended_at"], end.timestamp());
}

#[tokio::test]
async fn an_end_that_was_taken_back_does_not_come() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    fixture.stripe.act(&id, &Action::CancelAtPeriodEnd).unwrap();
    fixture.stripe.act(&id, &Action::KeepAfterPeriodEnd).unwrap();
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(40))
        .unwrap();
    let kept = show(&fixture, &id);
    assert_eq!(
        (&kept["status"], &kept["cancel_at"]),
        (&"active".into(), &Value::Null)
    );
}

#[tokio::test]
async fn the_two_pauses_differ() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    let events = caused(&fixture, || {
        fixture.stripe.act(&id, &Action::PauseCollection).unwrap();
    });
    assert_eq!(events, ["customer.subscription.updated"]);
    assert_eq!(show(&fixture, &id)["status"], "active");
    fixture.stripe.renew(&id).unwrap();
    assert_eq!(latest_invoice(&fixture, &id)["status"], "void");
    fixture.stripe.act(&id, &Action::ResumeCollection).unwrap();

    let events = caused(&fixture, || fixture.stripe.act(&id, &Action::Pause).unwrap());
    assert_eq!(
        events,
        ["customer.subscription.updated", "customer.subscription.paused"]
    );
    let paused = show(&fixture, &id);
    assert_eq!(paused["status"], "paused");
    assert_eq!(
        paused["status_details"]["paused"]["subscription"]["type"],
        "pause_requested"
    );
    fixture.stripe.act(&id, &Action::Resume).unwrap();
    assert_eq!(show(&fixture, &id)["status"], "active");
}

#[tokio::test]
async fn a_preview_tells_what_the_change_then_costs() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    let item = show(&fixture, &id)["items"]["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(15))
        .unwrap();
    let preview = [
        ("subscription", id.as_str()),
        ("subscription_details[items][0][id]", item.as_str()),
        ("subscription_details[items][0][quantity]", "4"),
        ("subscription_details[proration_behavior]", "always_invoice"),
    ];
    let previewed = fixture.ok("/v1/invoices/create_preview", &preview).await;
    // 16 of 31 days are left: 2 seats of 2900 go back, 4 are charged.
    assert_eq!(previewed["amount_due"], 5_987 - 2_994);
    assert_eq!(
        show(&fixture, &id)["items"]["data"][0]["quantity"],
        2,
        "a preview changes nothing"
    );
    let change = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", "4"),
        ("proration_behavior", "always_invoice"),
    ];
    fixture.ok(&format!("/v1/subscriptions/{id}"), &change).await;
    let invoice = latest_invoice(&fixture, &id);
    assert_eq!(invoice["amount_paid"], previewed["amount_due"]);
    assert_eq!(show(&fixture, &id)["items"]["data"][0]["quantity"], 4);
}

#[tokio::test]
async fn a_full_refund_marks_the_charge_and_a_second_one_is_refused() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    let events = caused(&fixture, || {
        fixture.stripe.act(&id, &Action::RefundLatest).unwrap();
    });
    assert_eq!(events, ["refund.created", "charge.refunded"]);
    let charge = fixture.stripe.read(|world| world.charges.rows()[0].clone());
    assert_eq!(charge.amount_refunded, charge.amount);
    let (status, body) = fixture
        .post("/v1/refunds", &[("payment_intent", &charge.payment_intent)])
        .await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["code"], "charge_already_refunded");
}

#[tokio::test]
async fn what_happens_quietly_is_there_and_not_told() {
    let fixture = Fixture::start().await;
    let id = fixture.stripe.with(|world| {
        world.quietly(|world| {
            world.seed_subscription("ada@example.com", Card::Works, MONTHLY, 1, Metadata::new())
        })
    });
    assert_eq!(show(&fixture, &id.unwrap())["status"], "active");
    assert_eq!(fixture.event_types(), Vec::<String>::new());
    subscribe(&fixture, Card::Works);
    assert!(!fixture.event_types().is_empty());
}

#[tokio::test]
async fn a_subscription_that_ends_is_not_renewed() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    fixture.stripe.act(&id, &Action::CancelAtPeriodEnd).unwrap();
    assert!(fixture.stripe.renew(&id).is_err());
    assert!(fixture.stripe.fail_payment(&id).is_err());
}

#[tokio::test]
async fn a_canceled_subscription_takes_no_more_changes() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, Card::Works);
    fixture.stripe.cancel(&id).unwrap();
    let path = format!("/v1/subscriptions/{id}");
    assert_eq!(
        fixture.post(&path, &[("cancel_at_period_end", "true")]).await.0,
        400
    );
    assert_eq!(
        fixture
            .post(&path, &[("metadata[note]", "still possible")])
            .await
            .0,
        200
    );
    let again = fixture.request(reqwest::Method::DELETE, &path);
    assert_eq!(crate::support::answer(again).await.0, 404);
}
