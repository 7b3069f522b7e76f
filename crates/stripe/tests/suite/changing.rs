//! What a subscription is changed by: another plan, and a trial that ends before its time.

use std::time::Duration;

use chrono::DateTime;
use rolecall_domain::ids::StripePriceId;
use rolecall_stripe::{
    client::preview::{Proration, SubscriptionChange},
    error::StripeError,
};

use tokio::time::timeout;

use crate::support::{Asked, FakeStripe, Reply};

const SUBSCRIPTION: &str = r#"{"id":"sub_1","customer":"cus_1","status":"active"}"#;

async fn within<F: Future>(call: F) -> F::Output {
    timeout(Duration::from_secs(20), call)
        .await
        .expect("the call hangs")
}

fn params(asked: &Asked) -> Vec<String> {
    asked
        .params()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// B8.
#[tokio::test]
async fn a_change_is_the_one_that_was_previewed_or_none_at_all() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    let change = SubscriptionChange {
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".to_owned(),
        price: Some(StripePriceId::new("price_2")),
        quantity: Some(1),
        proration: Proration::AlwaysInvoice,
        proration_date: DateTime::from_timestamp(1_767_225_600, 0),
    };
    within(stripe.client().change_subscription(&change, "change-1"))
        .await
        .unwrap();
    let asked = &stripe.asked()[0];
    assert_eq!(asked.line, "POST /v1/subscriptions/sub_1 HTTP/1.1");
    assert_eq!(asked.header("idempotency-key"), Some("change-1"));
    assert_eq!(
        params(asked),
        [
            "items[0][id]=si_1",
            "items[0][price]=price_2",
            "items[0][quantity]=1",
            "payment_behavior=error_if_incomplete",
            "proration_behavior=always_invoice",
            "proration_date=1767225600",
        ]
    );
}

/// B8. Stripe refuses a moment of settlement where nothing is settled.
#[tokio::test]
async fn a_change_that_settles_nothing_names_no_moment() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(r#"{"object":"invoice","amount_due":0}"#),
        Reply::ok(SUBSCRIPTION),
    ]);
    let change = SubscriptionChange {
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".to_owned(),
        price: Some(StripePriceId::new("price_2")),
        quantity: None,
        proration: Proration::None,
        proration_date: DateTime::from_timestamp(1_767_225_600, 0),
    };
    within(stripe.client().create_preview(&change)).await.unwrap();
    within(stripe.client().change_subscription(&change, "change-1"))
        .await
        .unwrap();
    let asked = stripe.asked();
    assert_eq!(
        params(&asked[0]),
        [
            "subscription=sub_1",
            "subscription_details[items][0][id]=si_1",
            "subscription_details[items][0][price]=price_2",
            "subscription_details[proration_behavior]=none",
        ]
    );
    assert_eq!(
        params(&asked[1]),
        [
            "items[0][id]=si_1",
            "items[0][price]=price_2",
            "payment_behavior=error_if_incomplete",
            "proration_behavior=none",
        ]
    );
}

#[tokio::test]
async fn a_declined_card_is_told_by_its_code() {
    let declined =
        r#"{"error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}}"#;
    let stripe = FakeStripe::start(vec![Reply::status(402, declined)]);
    let change = SubscriptionChange {
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".to_owned(),
        price: None,
        quantity: Some(2),
        proration: Proration::None,
        proration_date: None,
    };
    let error = within(stripe.client().change_subscription(&change, "change-1"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, StripeError::Invalid { code: Some(code), .. } if code == "card_declined"),
        "{error}"
    );
}

/// B11.
#[tokio::test]
async fn a_trial_is_read_with_its_card_and_ended_once() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(
            r#"{"id":"sub_1","status":"trialing","default_payment_method":null,"customer":{"id":"cus_1",
                "invoice_settings":{"default_payment_method":{"id":"pm_1","type":"card","card":{"fingerprint":"f1"}}}}}"#,
        ),
        Reply::ok(SUBSCRIPTION),
        Reply::ok(SUBSCRIPTION),
    ]);
    let (client, id) = (stripe.client(), "sub_1".parse().unwrap());
    let trial = within(client.get_trial(&id)).await.unwrap();
    assert!(trial.is_running());
    assert_eq!(trial.fingerprint(), Some("f1"));
    for attempt in [0, 0, 1] {
        within(client.end_trial(&id, attempt)).await.unwrap();
    }
    let asked = stripe.asked();
    assert_eq!(
        params(&asked[0]),
        [
            "expand[0]=default_payment_method",
            "expand[1]=customer.invoice_settings.default_payment_method"
        ]
    );
    assert_eq!(params(&asked[1]), ["trial_end=now"]);
    let keys = [1, 2, 3].map(|place: usize| asked[place].header("idempotency-key"));
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2], "an attempt after a failure is another one");
}
