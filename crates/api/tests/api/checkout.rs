//! B6, B7: buying a plan, and the billing portal.

use rolecall_domain::standing::Standing;
use serde_json::{Value, json};

use crate::support::{TestApp, shop::Shop};

#[tokio::test]
async fn a_checkout_session_carries_who_and_what() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await.to_string();
    let answer = browser
        .post(
            "/api/v1/checkout",
            &json!({"plan": "council", "price": "price_year"}),
        )
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let pages = app.world.lock().unwrap().stripe_pages.clone();
    assert_eq!(
        answer.json(),
        json!({"url": format!("{pages}/pay/cs_test_1"), "session_id": "cs_test_1"})
    );

    let sent = app.world.lock().unwrap().stripe_requests[0].clone();
    let success = format!(
        "{}/checkout/success?session_id={{CHECKOUT_SESSION_ID}}",
        app.origin()
    );
    for (name, value) in [
        ("mode", "subscription"),
        ("line_items[0][price]", "price_year"),
        ("line_items[0][quantity]", "1"),
        ("client_reference_id", &member_id),
        ("customer_email", "ada@example.test"),
        ("metadata[rolecall_member_id]", &member_id),
        ("metadata[rolecall_plan]", "council"),
        ("subscription_data[metadata][rolecall_member_id]", &member_id),
        ("subscription_data[metadata][rolecall_plan]", "council"),
        ("subscription_data[trial_period_days]", "7"),
        ("allow_promotion_codes", "true"),
        ("success_url", &success),
        ("cancel_url", &format!("{}/plans", app.origin())),
    ] {
        assert_eq!(
            sent.form.get(name).map(String::as_str),
            Some(value),
            "{name} in {:?}",
            sent.form
        );
    }
}

#[tokio::test]
async fn a_double_click_is_one_purchase() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let mut twin = browser.clone();
    let form = [("plan", "council"), ("price", "price_month")];
    let (first, second) = tokio::join!(
        browser.submit("/checkout", &form),
        twin.submit("/checkout", &form)
    );
    assert_eq!(
        (first.status.as_u16(), first.location()),
        (303, second.location()),
        "{second:?}"
    );
    app.advance(601);
    assert_ne!(
        browser.submit("/checkout", &form).await.location(),
        first.location(),
        "later it is another one"
    );
    let other = browser.submit("/checkout", &[("plan", "inner")]).await;
    assert_ne!(other.location(), first.location());
    let keys: std::collections::BTreeSet<_> = app
        .world
        .lock()
        .unwrap()
        .stripe_requests
        .iter()
        .map(|request| request.key.clone())
        .collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

const SESSIONS: &str = "/v1/checkout/sessions";

#[tokio::test]
async fn a_checkout_that_stripe_failed_at_works_at_the_next_click() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    shop.fails(&format!("POST {SESSIONS}"), 1, 500);
    let order = json!({"plan": "council", "price": "price_month"});
    let answer = browser.post("/api/v1/checkout", &order).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "stripe_unavailable")
    );
    shop.advance(1);
    // A double click is one purchase after a failure, too.
    let mut twin = browser.clone();
    let (first, second) = tokio::join!(
        browser.post("/api/v1/checkout", &order),
        twin.post("/api/v1/checkout", &order)
    );
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    assert_eq!(first.json(), second.json());
    assert_eq!(shop.keys("POST", SESSIONS).len(), 2);
}

#[tokio::test]
async fn a_price_that_was_refused_and_is_sold_again_is_bought_at_the_next_click() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let order = json!({"plan": "council", "price": "price_month"});
    let sell = |active: bool| {
        shop.stripe
            .with(|world| world.prices.get_mut("price_month").unwrap().active = active);
    };
    sell(false);
    assert_eq!(
        browser.post("/api/v1/checkout", &order).await.code(),
        "price_gone"
    );
    sell(true);
    shop.advance(1);
    let answer = browser.post("/api/v1/checkout", &order).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_checkout_that_may_be_under_way_is_the_same_at_the_next_click() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    shop.fails(&format!("POST {SESSIONS}"), 4, 409);
    let order = json!({"plan": "council", "price": "price_month"});
    let answer = browser.post("/api/v1/checkout", &order).await;
    assert_eq!(answer.code(), "stripe_unavailable");
    shop.advance(60);
    let answer = browser.post("/api/v1/checkout", &order).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(shop.keys("POST", SESSIONS).len(), 1);
}

#[tokio::test]
async fn what_is_not_sold_here_is_refused_with_its_reason() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    for (body, code) in [
        (json!({"plan": "nonsense"}), "plan_not_on_sale"),
        (
            json!({"plan": "council", "price": "price_seat"}),
            "price_not_of_plan",
        ),
        (json!({"plan": "council", "quantity": 2}), "quantity_not_one"),
        (json!({"plan": "council", "quantity": 0}), "quantity_not_one"),
        (json!({"plan": "council", "quantity": -1}), "quantity_not_one"),
        (
            json!({"plan": "council", "quantity": 9_007_199_254_740_993_i64}),
            "quantity_not_one",
        ),
        (
            json!({"plan": "team", "quantity": 5, "company_name": "Acme"}),
            "company_plan_unavailable",
        ),
    ] {
        let answer = browser.post("/api/v1/checkout", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, code),
            "{body}"
        );
    }
    let page = browser.submit("/checkout", &[("plan", "team")]).await;
    assert!(
        page.status == 422 && page.text.contains("Seats for companies are not on sale yet"),
        "{page:?}"
    );
    assert!(app.world.lock().unwrap().stripe_requests.is_empty());
}

#[tokio::test]
async fn who_has_the_plan_is_asked_before_paying_twice() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Active, true).await;
    assert_eq!(
        browser
            .post("/api/v1/checkout", &json!({"plan": "council"}))
            .await
            .code(),
        "already_subscribed"
    );
    let page = browser
        .submit("/checkout", &[("plan", "council"), ("price", "price_month")])
        .await;
    assert!(
        page.text.contains("You already have Council member")
            && page.text.contains("name=\"again\" value=\"yes\"")
            && page.text.contains("href=\"/billing/change?subscription=sub_1\""),
        "{page:?}"
    );
    assert!(app.world.lock().unwrap().stripe_requests.is_empty());

    let form = [("plan", "council"), ("price", "price_month"), ("again", "yes")];
    assert_eq!(browser.submit("/checkout", &form).await.status, 303);
    assert_eq!(
        browser.submit("/checkout", &[("plan", "inner")]).await.status,
        303,
        "another plan is no repetition"
    );
    let sent = app.world.lock().unwrap().stripe_requests.clone();
    assert_eq!(sent[0].form["customer"], "cus_1", "Stripe knows them");
    assert!(
        !sent[0].form.contains_key("subscription_data[trial_period_days]"),
        "one trial: {:?}",
        sent[0].form
    );
}

#[tokio::test]
async fn who_is_not_signed_in_signs_in_first_and_finds_their_choice_again() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.browser();
    let answer = browser
        .submit("/checkout", &[("plan", "council"), ("price", "price_year")])
        .await;
    assert_eq!(
        answer.location(),
        "/auth/discord/login?next=%2Fplans%3Fchosen%3Dcouncil%26price%3Dprice_year"
    );
    let page = browser.page("/plans?chosen=council&price=price_year").await.text;
    assert!(
        page.contains("Continue to payment") && page.contains("value=\"price_year\" checked"),
        "{page}"
    );
    assert_eq!(
        browser
            .post("/api/v1/checkout", &json!({"plan": "council"}))
            .await
            .code(),
        "not_signed_in"
    );
}

#[tokio::test]
async fn when_stripe_refuses_nothing_is_kept() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    app.world.lock().unwrap().stripe_is_down = true;
    let answer = browser
        .post("/api/v1/checkout", &json!({"plan": "council"}))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (502, "stripe_refused")
    );
    assert!(
        !answer.text.contains("No such price"),
        "a fault of ours is not the buyer's: {answer:?}"
    );
    let page = browser.submit("/checkout", &[("plan", "council")]).await;
    assert!(page.text.contains("Nothing was charged"), "{page:?}");
}

#[tokio::test]
async fn the_portal_is_for_who_has_bought_something() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    assert_eq!(
        browser.post("/api/v1/billing/portal", &Value::Null).await.code(),
        "no_billing_account"
    );
    app.seed_membership(member_id, 4001, Standing::Active, true).await;
    let answer = browser.post("/api/v1/billing/portal", &Value::Null).await;
    let pages = app.world.lock().unwrap().stripe_pages.clone();
    assert_eq!(answer.json(), json!({"url": format!("{pages}/portal/1")}));
    assert_eq!(
        browser.submit("/billing/portal", &[]).await.location(),
        format!("{pages}/portal/1")
    );
    let sent = app.world.lock().unwrap().stripe_requests[0].clone();
    assert_eq!(
        (sent.path.as_str(), sent.form["customer"].as_str()),
        ("/v1/billing_portal/sessions", "cus_1")
    );
    assert_eq!(sent.form["return_url"], format!("{}/dashboard", app.origin()));
}

#[tokio::test]
async fn a_payment_page_on_a_domain_of_its_own_is_reached_by_a_page() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    app.world.lock().unwrap().stripe_pages = "https://pay.example.test".to_owned();
    let page = browser.submit("/checkout", &[("plan", "council")]).await;
    assert_eq!(page.status, 200);
    assert!(
        page.text
            .contains("content=\"0; url=https://pay.example.test/pay/cs_test_1\""),
        "{page:?}"
    );
}
