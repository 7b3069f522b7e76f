//! One-time purchases, payments that take days, trials, tax.

use chrono::TimeDelta;
use rolecall_sandbox::stripe::PriceSeed;
use rolecall_sandbox::stripe::story::checkout::Purchase;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::shapes::check;
use crate::support::{Fixture, MONTHLY, start_of_2027};

const LIFETIME: &str = "price_lifetime";

async fn start() -> Fixture {
    let fixture = Fixture::start().await;
    fixture
        .stripe
        .seed_price(&PriceSeed::usd(LIFETIME, "Lifetime", 49_900, None));
    fixture
}

async fn session(fixture: &Fixture, mode: &str, price: &str, more: &[(&str, &str)]) -> Value {
    let form = [
        &[
            ("mode", mode),
            ("success_url", "http://127.0.0.1:9/"),
            ("line_items[0][price]", price),
            ("line_items[0][quantity]", "1"),
        ],
        more,
    ];
    fixture.ok("/v1/checkout/sessions", &form.concat()).await
}

fn pay(fixture: &Fixture, session: &Value, card: Card) -> Value {
    let id = session["id"].as_str().unwrap();
    fixture
        .stripe
        .complete_checkout(id, "ada@example.com", card)
        .unwrap();
    fixture.stripe.object(id).unwrap()
}

#[tokio::test]
async fn a_one_time_purchase_makes_a_payment_with_its_metadata_and_no_subscription() {
    let fixture = start().await;
    let more = [
        ("customer_creation", "always"),
        ("payment_intent_data[metadata][member]", "7"),
    ];
    let session = session(&fixture, "payment", LIFETIME, &more).await;
    let done = pay(&fixture, &session, Card::Works);
    check(include_str!("shapes/checkout_session.json"), &done);
    assert_eq!(
        (&done["payment_status"], &done["amount_total"]),
        (&"paid".into(), &49_900.into())
    );
    assert_eq!(done["subscription"], Value::Null);
    let intent = done["payment_intent"].as_str().unwrap();
    let path = format!("/v1/payment_intents/{intent}?expand[]=latest_charge");
    let intent = fixture.show(&path).await;
    assert_eq!(intent["status"], "succeeded");
    assert_eq!(intent["latest_charge"]["amount"], 49_900);
    assert_eq!(intent["latest_charge"]["metadata"]["member"], "7");
    let customer = done["customer"].as_str().unwrap();
    let charges = fixture.show(&format!("/v1/charges?customer={customer}")).await;
    assert_eq!(charges["data"].as_array().unwrap().len(), 1);
    let expected = [
        "customer.created",
        "payment_method.attached",
        "customer.updated",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ];
    assert_eq!(fixture.event_types(), expected);
}

#[tokio::test]
async fn money_that_takes_days_completes_the_session_unpaid_and_settles_it_later() {
    for (card, event, paid) in [
        (
            Card::ArrivesLater,
            "checkout.session.async_payment_succeeded",
            "paid",
        ),
        (
            Card::BouncesLater,
            "checkout.session.async_payment_failed",
            "unpaid",
        ),
    ] {
        let fixture = start().await;
        let session = session(&fixture, "payment", LIFETIME, &[]).await;
        let done = pay(&fixture, &session, card);
        assert_eq!(
            (&done["status"], &done["payment_status"]),
            (&"complete".into(), &"unpaid".into())
        );
        let intent = done["payment_intent"].as_str().unwrap();
        assert_eq!(fixture.stripe.object(intent).unwrap()["status"], "processing");
        let days = |days| start_of_2027() + TimeDelta::days(days);
        fixture.stripe.advance_to(days(2)).unwrap();
        assert!(!fixture.event_types().contains(&event.to_owned()));
        fixture.stripe.advance_to(days(3)).unwrap();
        let told = fixture.newest(event);
        assert_eq!(told["data"]["object"]["payment_status"], paid, "{event}");
    }
}

#[tokio::test]
async fn a_subscription_begins_while_its_first_payment_is_on_its_way_and_owes_it_when_it_bounces() {
    let fixture = start().await;
    let session = session(&fixture, "subscription", MONTHLY, &[]).await;
    let done = pay(&fixture, &session, Card::BouncesLater);
    assert_eq!(done["payment_status"], "unpaid");
    let id = done["subscription"].as_str().unwrap();
    let subscription = fixture.stripe.object(id).unwrap();
    assert_eq!(subscription["status"], "active");
    let invoice = subscription["latest_invoice"].as_str().unwrap();
    let intent = fixture
        .stripe
        .read(|world| world.invoice(invoice).unwrap().payment_intent.clone());
    let events = fixture.caused(|| fixture.stripe.settle(&intent.unwrap(), false).unwrap());
    let expected = [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
        "checkout.session.async_payment_failed",
    ];
    assert_eq!(events, expected);
    assert_eq!(fixture.stripe.object(id).unwrap()["status"], "past_due");
}

#[tokio::test]
async fn a_session_takes_only_the_payments_it_offers() {
    let fixture = start().await;
    let more = [("payment_method_types[]", "card")];
    let session = session(&fixture, "payment", LIFETIME, &more).await;
    assert_eq!(session["payment_method_types"], serde_json::json!(["card"]));
    let id = session["id"].as_str().unwrap();
    let refused = fixture
        .stripe
        .complete_checkout(id, "ada@example.com", Card::ArrivesLater);
    assert!(refused.is_err());
    let page = fixture.client.get(session["url"].as_str().unwrap()).send();
    let page = page.await.unwrap().text().await.unwrap();
    assert!(page.contains("4242") && !page.contains("Bank account"), "{page}");
}

#[tokio::test]
async fn a_trial_without_a_card_begins_only_where_the_session_lets_it() {
    let fixture = start().await;
    let trial = ("subscription_data[trial_period_days]", "14");
    let without_card = Purchase {
        email: "ada@example.com".to_owned(),
        ..Purchase::default()
    };
    let strict = session(&fixture, "subscription", MONTHLY, &[trial]).await;
    let complete = |session: &Value| {
        let id = session["id"].as_str().unwrap();
        fixture.stripe.complete_purchase(id, &without_card)
    };
    assert!(complete(&strict).is_err());
    let more = [
        trial,
        ("payment_method_collection", "if_required"),
        (
            "subscription_data[trial_settings][end_behavior][missing_payment_method]",
            "pause",
        ),
    ];
    let lenient = session(&fixture, "subscription", MONTHLY, &more).await;
    complete(&lenient).unwrap();
    let done = fixture.stripe.object(lenient["id"].as_str().unwrap()).unwrap();
    assert_eq!(done["payment_status"], "no_payment_required");
    let id = done["subscription"].as_str().unwrap();
    assert_eq!(fixture.stripe.object(id).unwrap()["status"], "trialing");
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(14))
        .unwrap();
    let paused = fixture.stripe.object(id).unwrap();
    assert_eq!(
        paused["status_details"]["paused"]["subscription"]["type"],
        "trial_end_without_payment_method"
    );
}

#[tokio::test]
async fn a_trial_ends_at_the_moment_it_is_told_to() {
    let fixture = start().await;
    let more = [("subscription_data[trial_period_days]", "14")];
    let session = session(&fixture, "subscription", MONTHLY, &more).await;
    let done = pay(&fixture, &session, Card::Works);
    let path = format!("/v1/subscriptions/{}", done["subscription"].as_str().unwrap());
    let later = (start_of_2027() + TimeDelta::days(20)).timestamp().to_string();
    let moved = fixture.ok(&path, &[("trial_end", &later)]).await;
    assert_eq!(moved["trial_end"].to_string(), later);
    assert_eq!(moved["items"]["data"][0]["current_period_end"].to_string(), later);
    let ended = fixture.ok(&path, &[("trial_end", "now")]).await;
    assert_eq!(ended["status"], "active");
    assert!(fixture.event_types().contains(&"charge.succeeded".to_owned()));
    let yesterday = (start_of_2027() - TimeDelta::days(1)).timestamp().to_string();
    let error = fixture.refused(&path, &[("trial_end", &yesterday)]).await;
    assert_eq!(error["param"], "trial_end");
}

#[tokio::test]
async fn ones_own_card_number_is_told_apart_from_others() {
    let fixture = start().await;
    let buy = async |last4: Option<&str>| {
        let session = session(&fixture, "subscription", MONTHLY, &[]).await;
        let purchase = Purchase {
            email: "ada@example.com".to_owned(),
            card: Some(Card::Works),
            last4: last4.map(str::to_owned),
            ..Purchase::default()
        };
        let id = session["id"].as_str().unwrap();
        fixture.stripe.complete_purchase(id, &purchase).unwrap();
        let done = fixture.stripe.object(id).unwrap();
        let path = format!(
            "/v1/payment_methods?type=card&customer={}",
            done["customer"].as_str().unwrap()
        );
        let card = fixture.show(&path).await["data"][0]["card"].clone();
        (card["last4"].clone(), card["fingerprint"].clone())
    };
    let (mine, again, other) = (buy(Some("1881")).await, buy(Some("1881")).await, buy(None).await);
    assert_eq!(mine, again);
    assert_eq!((&mine.0, &other.0), (&"1881".into(), &"4242".into()));
    assert_ne!(mine.1, other.1);
}

#[tokio::test]
async fn automatic_tax_needs_an_address_that_may_be_kept() {
    let fixture = start().await;
    let customer = fixture.ok("/v1/customers", &[]).await;
    let base = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", MONTHLY),
        ("line_items[0][quantity]", "1"),
        ("automatic_tax[enabled]", "true"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [base.as_slice(), more].concat();
    let sessions = "/v1/checkout/sessions";
    let session = fixture.ok(sessions, &with(&[])).await;
    assert_eq!(session["automatic_tax"]["enabled"], true);
    let done = pay(&fixture, &session, Card::Works);
    let subscription = fixture
        .stripe
        .object(done["subscription"].as_str().unwrap())
        .unwrap();
    assert_eq!(subscription["automatic_tax"]["enabled"], true);
    let invoice = fixture
        .stripe
        .object(subscription["latest_invoice"].as_str().unwrap())
        .unwrap();
    check(include_str!("shapes/invoice.json"), &invoice);
    assert_eq!(invoice["automatic_tax"]["status"], "complete");

    let known = [("customer", customer["id"].as_str().unwrap())];
    let form = [base.as_slice(), &known].concat();
    let error = fixture.refused(sessions, &form).await;
    assert_eq!(error["code"], "customer_tax_location_invalid");
    let form = [form.as_slice(), &[("customer_update[address]", "auto")]].concat();
    fixture.ok(sessions, &form).await;
    let error = fixture
        .refused(sessions, &with(&[("customer_update[address]", "auto")]))
        .await;
    assert_eq!(error["param"], "customer_update");
}

#[tokio::test]
async fn one_customer_is_not_billed_in_two_currencies() {
    let fixture = start().await;
    let mut euros = PriceSeed::usd(
        "price_euros",
        "Council member",
        2_700,
        Some(rolecall_sandbox::stripe::world::catalog::Interval::Month),
    );
    euros.currency = "eur".to_owned();
    fixture.stripe.seed_price(&euros);
    let id = fixture.subscribe(Card::Works);
    let customer = fixture.stripe.object(&id).unwrap()["customer"].clone();
    let form = [
        ("customer", customer.as_str().unwrap()),
        ("items[0][price]", "price_euros"),
    ];
    let error = fixture.refused("/v1/subscriptions", &form).await;
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("You cannot combine currencies on a single customer.")
    );
    let checkout = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", "price_euros"),
        ("line_items[0][quantity]", "1"),
        ("customer", customer.as_str().unwrap()),
    ];
    let told = fixture.refused("/v1/checkout/sessions", &checkout).await;
    assert_eq!(told["message"], error["message"]);
    fixture.stripe.cancel(&id).unwrap();
    fixture.ok("/v1/checkout/sessions", &checkout).await;
    fixture.ok("/v1/subscriptions", &form).await;
}
