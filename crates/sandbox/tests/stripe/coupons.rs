//! Coupons and promotion codes: made, refused, used, run out.

use chrono::TimeDelta;
use reqwest::Method;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::shapes::check;
use crate::support::{Fixture, MONTHLY, answer, start_of_2027};

async fn coupon(fixture: &Fixture, more: &[(&str, &str)]) -> String {
    let coupon = fixture.ok("/v1/coupons", more).await;
    check(include_str!("shapes/coupon.json"), &coupon);
    coupon["id"].as_str().unwrap().to_owned()
}

async fn code(fixture: &Fixture, coupon: &str, more: &[(&str, &str)]) -> Value {
    let form = [
        &[("promotion[type]", "coupon"), ("promotion[coupon]", coupon)],
        more,
    ];
    let code = fixture.ok("/v1/promotion_codes", &form.concat()).await;
    check(include_str!("shapes/promotion_code.json"), &code);
    code
}

async fn session(fixture: &Fixture, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [
        &[
            ("mode", "subscription"),
            ("success_url", "http://127.0.0.1:9/"),
            ("line_items[0][price]", MONTHLY),
            ("line_items[0][quantity]", "2"),
        ],
        more,
    ];
    let (status, body) = fixture.post("/v1/checkout/sessions", &form.concat()).await;
    (status.as_u16(), body)
}

fn latest_invoice(fixture: &Fixture, subscription: &Value) -> Value {
    let id = subscription["latest_invoice"].as_str().unwrap();
    fixture.stripe.object(id).unwrap()
}

#[tokio::test]
async fn a_coupon_of_three_months_is_taken_off_three_invoices_and_no_fourth() {
    let fixture = Fixture::start().await;
    let form = [
        ("id", "SPRING"),
        ("percent_off", "25.5"),
        ("duration", "repeating"),
        ("duration_in_months", "3"),
    ];
    assert_eq!(coupon(&fixture, &form).await, "SPRING");
    let (_, session) = session(&fixture, &[("discounts[0][coupon]", "SPRING")]).await;
    assert_eq!(session["amount_subtotal"], 5_800);
    assert_eq!(session["amount_total"], 5_800 - 1_479);
    assert_eq!(session["total_details"]["amount_discount"], 1_479);
    assert_eq!(session["discounts"][0]["coupon"], "SPRING");
    check(include_str!("shapes/checkout_session.json"), &session);
    let id = session["id"].as_str().unwrap();
    fixture
        .stripe
        .complete_checkout(id, "ada@example.com", Card::Works)
        .unwrap();
    let done = fixture.stripe.object(id).unwrap();
    let subscription = done["subscription"].as_str().unwrap();
    let path = format!("/v1/subscriptions/{subscription}?expand[]=discounts");
    let shown = fixture.show(&path).await;
    check(include_str!("shapes/discount.json"), &shown["discounts"][0]);
    assert_eq!(shown["discounts"][0]["source"]["coupon"], "SPRING");
    assert_eq!(shown["discounts"][0]["checkout_session"], id);

    let mut totals = Vec::new();
    for months in 0..5 {
        let to = start_of_2027() + TimeDelta::days(31 * months);
        fixture.stripe.advance_to(to).unwrap();
        let subscription = fixture.stripe.object(subscription).unwrap();
        let invoice = latest_invoice(&fixture, &subscription);
        check(include_str!("shapes/invoice.json"), &invoice);
        totals.push(invoice["amount_paid"].as_i64().unwrap());
    }
    assert_eq!(totals, [4_321, 4_321, 4_321, 5_800, 5_800]);
    let ended = fixture.newest("customer.discount.deleted");
    assert_eq!(ended["data"]["object"]["subscription"], subscription);
    let coupon = fixture.show("/v1/coupons/SPRING").await;
    assert_eq!(coupon["times_redeemed"], 1);
}

#[tokio::test]
async fn a_coupon_for_once_waits_for_the_first_invoice_that_costs_something() {
    let fixture = Fixture::start().await;
    let id = coupon(&fixture, &[("amount_off", "1000"), ("currency", "usd")]).await;
    let more = [
        ("discounts[0][coupon]", id.as_str()),
        ("subscription_data[trial_period_days]", "10"),
    ];
    let (_, session) = session(&fixture, &more).await;
    assert_eq!(session["amount_total"], 0);
    let session = session["id"].as_str().unwrap();
    fixture
        .stripe
        .complete_checkout(session, "ada@example.com", Card::Works)
        .unwrap();
    let subscription = fixture.stripe.object(session).unwrap()["subscription"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = || fixture.stripe.object(&subscription).unwrap();
    assert_eq!(shown()["discounts"].as_array().unwrap().len(), 1);
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(11))
        .unwrap();
    let invoice = latest_invoice(&fixture, &shown());
    assert_eq!(
        (&invoice["subtotal"], &invoice["total"]),
        (&5_800.into(), &4_800.into())
    );
    assert_eq!(invoice["total_discount_amounts"][0]["amount"], 1_000);
    assert_eq!(shown()["discounts"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn codes_are_refused_when_they_are_expired_used_up_or_somebody_elses() {
    let fixture = Fixture::start().await;
    let coupon = coupon(&fixture, &[("percent_off", "50")]).await;
    let ada = fixture.ok("/v1/customers", &[("email", "ada@example.com")]).await;
    let ada = ada["id"].as_str().unwrap();
    let soon = (start_of_2027().timestamp() + 60).to_string();
    let expired = code(&fixture, &coupon, &[("expires_at", &soon)]).await;
    let used_up = code(&fixture, &coupon, &[("max_redemptions", "1")]).await;
    let hers = code(&fixture, &coupon, &[("customer", ada)]).await;
    let big = [
        ("restrictions[minimum_amount]", "10000"),
        ("restrictions[minimum_amount_currency]", "usd"),
    ];
    let big = code(&fixture, &coupon, &big).await;
    let off = code(&fixture, &coupon, &[("active", "false")]).await;
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::minutes(2))
        .unwrap();

    let wish = async |code: &Value, more: &[(&str, &str)]| {
        let wish = [("discounts[0][promotion_code]", code["id"].as_str().unwrap())];
        session(&fixture, &[wish.as_slice(), more].concat()).await
    };
    let (status, first) = wish(&used_up, &[]).await;
    assert_eq!(status, 200);
    fixture
        .stripe
        .complete_checkout(first["id"].as_str().unwrap(), "b@example.com", Card::Works)
        .unwrap();
    for (name, refused) in [
        ("expired", &expired),
        ("used up", &used_up),
        ("hers", &hers),
        ("big", &big),
        ("off", &off),
    ] {
        let (status, body) = wish(refused, &[]).await;
        assert_eq!(
            (status, &body["error"]["param"]),
            (400, &"promotion_code".into()),
            "{name}"
        );
    }
    assert_eq!(wish(&hers, &[("customer", ada)]).await.0, 200);
    let id = used_up["id"].as_str().unwrap();
    assert_eq!(
        fixture.show(&format!("/v1/promotion_codes/{id}")).await["active"],
        false
    );
    let active = fixture.show("/v1/promotion_codes?active=true").await;
    assert_eq!(active["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_coupon_that_ends_between_the_session_and_the_purchase_stops_the_purchase() {
    let fixture = Fixture::start().await;
    let soon = (start_of_2027().timestamp() + 600).to_string();
    let id = coupon(&fixture, &[("percent_off", "10"), ("redeem_by", &soon)]).await;
    let (_, session) = session(&fixture, &[("discounts[0][coupon]", &id)]).await;
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::minutes(11))
        .unwrap();
    let form = [("email", "ada@example.com"), ("card", "works")];
    let page = fixture.client.post(session["url"].as_str().unwrap());
    let (status, page) = answer(page.form(&form)).await;
    assert_eq!(status, 402);
    assert!(page.as_str().unwrap().contains("Coupon expired"), "{page}");
    assert_eq!(fixture.stripe.read(|world| world.customers.rows().len()), 0);
}

#[tokio::test]
async fn a_code_is_typed_in_on_the_page_where_the_session_allows_it() {
    let fixture = Fixture::start().await;
    let coupon = coupon(&fixture, &[("percent_off", "100"), ("duration", "forever")]).await;
    code(&fixture, &coupon, &[("code", "FRIENDS")]).await;
    let (_, session) = session(&fixture, &[("allow_promotion_codes", "true")]).await;
    let url = session["url"].as_str().unwrap();
    let pay = async |typed: &str| {
        let form = [
            ("email", "ada@example.com"),
            ("card", "works"),
            ("promotion_code", typed),
        ];
        answer(fixture.client.post(url).form(&form)).await
    };
    let (status, page) = pay("FOES").await;
    assert_eq!(status, 402);
    assert!(page.as_str().unwrap().contains("This code is invalid."));
    assert_eq!(pay("friends").await.0, 303);
    let done = fixture.stripe.object(session["id"].as_str().unwrap()).unwrap();
    assert_eq!(done["payment_status"], "no_payment_required");
    let subscription = fixture
        .stripe
        .object(done["subscription"].as_str().unwrap())
        .unwrap();
    assert_eq!(subscription["status"], "active");
    assert!(!fixture.event_types().contains(&"charge.succeeded".to_owned()));
}

#[tokio::test]
async fn a_discount_is_put_on_a_subscription_and_taken_from_it() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let coupon = coupon(&fixture, &[("percent_off", "20"), ("duration", "forever")]).await;
    let path = format!("/v1/subscriptions/{id}");
    let wish = [("discounts[0][coupon]", coupon.as_str())];
    let shown = fixture.ok(&path, &wish).await;
    assert_eq!(shown["discounts"].as_array().unwrap().len(), 1);
    fixture.stripe.renew(&id).unwrap();
    let invoice = latest_invoice(&fixture, &fixture.stripe.object(&id).unwrap());
    assert_eq!(invoice["amount_paid"], 2_320);
    let old = fixture
        .request(Method::GET, &path)
        .header("stripe-version", "2024-06-20");
    let (_, old) = answer(old).await;
    assert_eq!(old["discount"]["coupon"]["id"], coupon);
    let delete = fixture.request(Method::DELETE, &format!("{path}/discount"));
    assert_eq!(answer(delete).await.1["deleted"], true);
    assert_eq!(fixture.show(&path).await["discounts"], serde_json::json!([]));
}

#[tokio::test]
async fn what_cannot_be_a_coupon_is_refused() {
    let fixture = Fixture::start().await;
    for (form, param) in [
        (vec![("percent_off", "0")], "percent_off"),
        (vec![("percent_off", "101")], "percent_off"),
        (vec![("amount_off", "100")], "currency"),
        (
            vec![("percent_off", "5"), ("duration", "repeating")],
            "duration_in_months",
        ),
        (vec![("percent_off", "5"), ("duration", "always")], "duration"),
    ] {
        let error = fixture.refused("/v1/coupons", &form).await;
        assert_eq!(error["param"], param, "{form:?}: {error}");
    }
    fixture.refused("/v1/coupons", &[]).await;
    coupon(&fixture, &[("id", "TWICE"), ("percent_off", "5")]).await;
    let error = fixture
        .refused("/v1/coupons", &[("id", "TWICE"), ("percent_off", "5")])
        .await;
    assert_eq!(error["code"], "resource_already_exists");
    let euros = coupon(&fixture, &[("amount_off", "100"), ("currency", "eur")]).await;
    let (status, _) = session(&fixture, &[("discounts[0][coupon]", &euros)]).await;
    assert_eq!(status, 400, "a sum in another currency");
}
