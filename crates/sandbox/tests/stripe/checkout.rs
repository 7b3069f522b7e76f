//! Buying on the hosted page.

use reqwest::header::LOCATION;
use serde_json::Value;

use crate::support::{Fixture, MONTHLY};

async fn pay(fixture: &Fixture, session: &Value, form: &[(&str, &str)]) -> reqwest::Response {
    fixture
        .client
        .post(session["url"].as_str().unwrap())
        .form(form)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_paid_checkout_makes_customer_subscription_and_paid_invoice_and_tells_of_them_in_order() {
    let fixture = Fixture::start().await;
    let session = fixture.checkout().await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&"open".into(), &"unpaid".into())
    );

    let page = fixture
        .client
        .get(session["url"].as_str().unwrap())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("Council member") && page.contains("$29.00"),
        "{page}"
    );

    let paid = pay(
        &fixture,
        &session,
        &[("email", "ada@example.com"), ("card", "works")],
    )
    .await;
    assert_eq!(paid.status(), 303);
    let id = session["id"].as_str().unwrap();
    assert_eq!(
        paid.headers()[LOCATION],
        format!("http://127.0.0.1:9/done?session_id={id}")
    );

    let path = format!(
        "/v1/checkout/sessions/{id}?expand[]=subscription.latest_invoice&expand[]=line_items&expand[]=customer"
    );
    let (_, done) = fixture.get(&path).await;
    assert_eq!(
        (&done["status"], &done["payment_status"]),
        (&"complete".into(), &"paid".into())
    );
    assert_eq!(done["customer"]["email"], "ada@example.com");
    assert_eq!(done["subscription"]["status"], "active");
    assert_eq!(done["subscription"]["metadata"]["member"], "1");
    assert_eq!(done["subscription"]["latest_invoice"]["status"], "paid");
    assert_eq!(done["line_items"]["data"][0]["price"]["id"], MONTHLY);
    let expected = [
        "customer.created",
        "payment_method.attached",
        "customer.updated",
        "customer.subscription.created",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
        "checkout.session.completed",
    ];
    assert_eq!(fixture.event_types(), expected);
    let updated = &fixture.stripe.events()[12];
    assert_eq!(updated["data"]["previous_attributes"]["status"], "incomplete");
    assert_eq!(updated["data"]["object"]["status"], "active");
}

#[tokio::test]
async fn a_declined_card_leaves_the_session_open_and_nothing_behind() {
    let fixture = Fixture::start().await;
    let session = fixture.checkout().await;
    let declined = pay(
        &fixture,
        &session,
        &[("email", "a@example.com"), ("card", "declines")],
    )
    .await;
    assert_eq!(declined.status(), 402);
    assert!(declined.text().await.unwrap().contains("Your card was declined."));
    assert_eq!(fixture.event_types(), Vec::<String>::new());
    let paid = pay(
        &fixture,
        &session,
        &[("email", "a@example.com"), ("card", "works")],
    )
    .await;
    assert_eq!(paid.status(), 303);
}

#[tokio::test]
async fn a_card_that_needs_confirmation_asks_for_it_first() {
    let fixture = Fixture::start().await;
    let session = fixture.checkout().await;
    let form = [("email", "a@example.com"), ("card", "requires_action")];
    let asked = pay(&fixture, &session, &form).await;
    assert_eq!(asked.status(), 200);
    assert!(
        asked
            .text()
            .await
            .unwrap()
            .contains("Your bank asks you to confirm")
    );
    let failed = pay(&fixture, &session, &[form[0], form[1], ("confirmation", "fail")]).await;
    assert_eq!(failed.status(), 402);
    let confirmed = pay(
        &fixture,
        &session,
        &[form[0], form[1], ("confirmation", "complete")],
    )
    .await;
    assert_eq!(confirmed.status(), 303);
}

#[tokio::test]
async fn a_session_is_paid_once_and_an_expired_one_never() {
    let fixture = Fixture::start().await;
    let form = [("email", "a@example.com"), ("card", "works")];
    let paid = fixture.checkout().await;
    assert_eq!(pay(&fixture, &paid, &form).await.status(), 303);
    assert_eq!(pay(&fixture, &paid, &form).await.status(), 410);
    let late = fixture.checkout().await;
    fixture
        .ok(
            &format!("/v1/checkout/sessions/{}/expire", late["id"].as_str().unwrap()),
            &[],
        )
        .await;
    assert_eq!(pay(&fixture, &late, &form).await.status(), 410);
    assert_eq!(fixture.stripe.read(|world| world.subscriptions.rows().len()), 1);
}

#[tokio::test]
async fn a_trial_starts_without_a_charge() {
    let fixture = Fixture::start().await;
    let form = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", MONTHLY),
        ("line_items[0][quantity]", "1"),
        ("subscription_data[trial_period_days]", "14"),
    ];
    let session = fixture.ok("/v1/checkout/sessions", &form).await;
    assert_eq!(session["amount_total"], 0);
    assert_eq!(
        pay(
            &fixture,
            &session,
            &[("email", "a@example.com"), ("card", "works")]
        )
        .await
        .status(),
        303
    );
    assert!(!fixture.event_types().contains(&"charge.succeeded".to_owned()));
    let status = fixture
        .stripe
        .read(|world| world.subscriptions.rows()[0].status.name());
    assert_eq!(status, "trialing");
}

#[tokio::test]
async fn what_stripe_refuses_is_refused() {
    let fixture = Fixture::start().await;
    let base = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/"),
        ("line_items[0][price]", MONTHLY),
        ("line_items[0][quantity]", "1"),
    ];
    let without = |name: &str| {
        base.iter()
            .filter(|(key, _)| *key != name)
            .copied()
            .collect::<Vec<_>>()
    };
    let with = |more: (&'static str, &'static str)| {
        let mut form = without(more.0);
        form.push(more);
        form
    };
    let cases = [
        (with(("colour", "red")), "parameter_unknown", "colour"),
        (without("success_url"), "parameter_missing", "success_url"),
        (without("mode"), "parameter_missing", "mode"),
        (vec![base[0], base[1]], "parameter_missing", "line_items"),
        (
            without("line_items[0][quantity]"),
            "parameter_missing",
            "line_items[0][quantity]",
        ),
        (
            with(("line_items[0][price]", "price_none")),
            "resource_missing",
            "line_items[0][price]",
        ),
        (
            with(("line_items[0][quantity]", "0")),
            "parameter_invalid_integer",
            "quantity",
        ),
        (with(("success_url", "done")), "url_invalid", "success_url"),
        (with(("customer", "cus_none")), "resource_missing", "customer"),
        (with(("mode", "payment")), "null", "line_items"),
        (with(("expires_at", "1")), "null", "expires_at"),
    ];
    for (form, code, param) in cases {
        let (status, body) = fixture.post("/v1/checkout/sessions", &form).await;
        let error = &body["error"];
        assert_eq!(status, 400, "{form:?}: {body}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"].as_str().unwrap_or("null"), code, "{form:?}: {body}");
        assert_eq!(error["param"], param, "{form:?}: {body}");
    }
    assert_eq!(fixture.stripe.read(|world| world.checkouts.rows().len()), 0);
}
