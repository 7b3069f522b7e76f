//! The portal, the invoice page, the dashboard, and the story by HTTP.

use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::{Value, json};

use crate::support::{Fixture, MONTHLY, Receiver};

fn subscribe(fixture: &Fixture) -> String {
    fixture
        .stripe
        .seed_subscription("ada@example.com", Card::Works, MONTHLY, 1, Metadata::new())
        .unwrap()
}

async fn submit(fixture: &Fixture, url: &str, form: &[(&str, &str)]) -> u16 {
    fixture
        .client
        .post(url)
        .form(form)
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}

fn show(fixture: &Fixture, id: &str) -> Value {
    fixture.stripe.object(id).unwrap()
}

#[tokio::test]
async fn a_customer_runs_their_subscription_in_the_portal() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    let customer = show(&fixture, &id)["customer"].as_str().unwrap().to_owned();
    let form = [
        ("customer", customer.as_str()),
        ("return_url", "http://127.0.0.1:9/dashboard"),
    ];
    let portal = fixture.ok("/v1/billing_portal/sessions", &form).await;
    let url = portal["url"].as_str().unwrap();
    let page = fixture
        .client
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("http://127.0.0.1:9/dashboard") && page.contains("1 × Council member"),
        "{page}"
    );

    let deed = |deed: &'static str| vec![("do", deed), ("subscription", id.as_str())];
    assert_eq!(submit(&fixture, url, &deed("cancel_at_period_end")).await, 303);
    assert_eq!(show(&fixture, &id)["cancel_at_period_end"], true);
    assert_eq!(submit(&fixture, url, &deed("keep_after_period_end")).await, 303);
    assert_eq!(show(&fixture, &id)["cancel_at_period_end"], false);
    let more = [deed("set_quantity"), vec![("quantity", "3")]].concat();
    assert_eq!(submit(&fixture, url, &more).await, 303);
    assert_eq!(show(&fixture, &id)["items"]["data"][0]["quantity"], 3);

    assert_eq!(
        submit(&fixture, url, &[("do", "set_card"), ("card", "declines")]).await,
        303
    );
    fixture.stripe.renew(&id).unwrap();
    assert_eq!(show(&fixture, &id)["status"], "past_due");
    assert_eq!(submit(&fixture, url, &deed("pay")).await, 400);
    assert_eq!(
        submit(&fixture, url, &[("do", "set_card"), ("card", "works")]).await,
        303
    );
    assert_eq!(submit(&fixture, url, &deed("pay")).await, 303);
    assert_eq!(show(&fixture, &id)["status"], "active");
    assert_eq!(submit(&fixture, url, &deed("cancel")).await, 303);
    assert_eq!(show(&fixture, &id)["status"], "canceled");
}

#[tokio::test]
async fn a_customer_changes_their_plan_in_the_portal() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    let customer = show(&fixture, &id)["customer"].as_str().unwrap().to_owned();
    let portal = fixture
        .ok("/v1/billing_portal/sessions", &[("customer", &customer)])
        .await;
    let url = portal["url"].as_str().unwrap();
    let form = [
        ("do", "set_plan"),
        ("subscription", id.as_str()),
        ("price", "price_council_yearly"),
    ];
    assert_eq!(submit(&fixture, url, &form).await, 303);
    let changed = show(&fixture, &id);
    assert_eq!(changed["items"]["data"][0]["price"]["id"], "price_council_yearly");
    let invoice = show(&fixture, changed["latest_invoice"].as_str().unwrap());
    assert_eq!(invoice["amount_paid"], 29_000 - 2_900);
    let wrong = [form[0], form[1], ("price", "price_none")];
    assert_eq!(submit(&fixture, url, &wrong).await, 400);
}

#[tokio::test]
async fn nobody_reaches_another_customers_subscription_through_their_portal() {
    let fixture = Fixture::start().await;
    let (mine, theirs) = (subscribe(&fixture), subscribe(&fixture));
    let customer = show(&fixture, &mine)["customer"].as_str().unwrap().to_owned();
    let portal = fixture
        .ok("/v1/billing_portal/sessions", &[("customer", &customer)])
        .await;
    let form = [("do", "cancel"), ("subscription", theirs.as_str())];
    assert_eq!(
        submit(&fixture, portal["url"].as_str().unwrap(), &form).await,
        400
    );
    assert_eq!(show(&fixture, &theirs)["status"], "active");
}

#[tokio::test]
async fn an_open_invoice_is_paid_on_its_own_page() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    fixture.stripe.fail_payment(&id).unwrap();
    let invoice = show(&fixture, &id)["latest_invoice"].as_str().unwrap().to_owned();
    let url = show(&fixture, &invoice)["hosted_invoice_url"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(submit(&fixture, &url, &[("card", "declines")]).await, 402);
    assert_eq!(show(&fixture, &invoice)["attempt_count"], 2);
    assert_eq!(submit(&fixture, &url, &[("card", "works")]).await, 303);
    assert_eq!(show(&fixture, &id)["status"], "active");
}

#[tokio::test]
async fn the_dashboard_shows_the_account_and_its_buttons_work() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    let url = fixture.url(&format!("/dashboard/subscriptions/{id}"));
    assert_eq!(submit(&fixture, &url, &[("action", "fail_payment")]).await, 303);
    let page = fixture
        .client
        .get(fixture.url("/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for shown in [
        "ada@example.com",
        "past due",
        "invoice.payment_failed",
        "Simulated Stripe",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert_eq!(
        submit(&fixture, &fixture.url("/dashboard/advance"), &[("days", "3")]).await,
        303
    );
    let attempts =
        show(&fixture, show(&fixture, &id)["latest_invoice"].as_str().unwrap())["attempt_count"].clone();
    assert_eq!(attempts, 2, "the card on file works, so the retry paid");
    assert_eq!(show(&fixture, &id)["status"], "active");
    assert_eq!(submit(&fixture, &url, &[("action", "resume")]).await, 400);
}

#[tokio::test]
async fn the_dashboards_rarer_buttons_move_money() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    let url = fixture.url(&format!("/dashboard/subscriptions/{id}"));
    let act = async |form: &[(&str, &str)]| submit(&fixture, &url, form).await;
    assert_eq!(act(&[("action", "refund_part"), ("amount", "500")]).await, 303);
    assert_eq!(act(&[("action", "refund_part"), ("amount", "0")]).await, 400);
    assert_eq!(act(&[("action", "inquire")]).await, 303);
    assert_eq!(act(&[("action", "submit_evidence")]).await, 303);
    assert_eq!(act(&[("action", "lose_dispute")]).await, 303);
    assert_eq!(act(&[("action", "lose_dispute")]).await, 400);
    assert_eq!(act(&[("action", "set_quantity"), ("quantity", "7")]).await, 303);
    assert_eq!(act(&[("action", "pause_on_failure")]).await, 303);
    let shown = show(&fixture, &id);
    assert_eq!(
        (&shown["status"], &shown["items"]["data"][0]["quantity"]),
        (&"paused".into(), &7.into())
    );
    let closed = fixture.newest("charge.dispute.closed");
    assert_eq!(closed["data"]["object"]["status"], "lost");
    assert_eq!(closed["data"]["object"]["amount"], 2_400);
}

#[tokio::test]
async fn the_dashboard_runs_the_account_its_clocks_codes_and_endpoints() {
    let receiver = Receiver::start();
    let fixture = Fixture::start_for(&receiver).await;
    let page = async || {
        let page = fixture.client.get(fixture.url("/")).send().await.unwrap();
        page.text().await.unwrap()
    };
    let settings = fixture.url("/dashboard/settings");
    assert_eq!(
        submit(&fixture, &settings, &[("after_retries", "pause")]).await,
        303
    );
    let choice = fixture.stripe.read(|world| world.after_retries);
    assert_eq!(choice, rolecall_sandbox::stripe::AfterRetries::Pause);

    let code = [("code", "HELLO"), ("percent", "30"), ("months", "2")];
    let codes = fixture.url("/dashboard/codes");
    assert_eq!(submit(&fixture, &codes, &code).await, 303);
    assert_eq!(submit(&fixture, &codes, &code).await, 400, "the code is taken");
    let clock = fixture
        .stripe
        .create_test_clock(crate::support::start_of_2027())
        .unwrap();
    let clocks = fixture.url(&format!("/dashboard/clocks/{clock}"));
    assert_eq!(submit(&fixture, &clocks, &[("days", "30")]).await, 303);
    let shown = page().await;
    for part in ["HELLO", "2 months", "30 %", "31 Jan 2027", "enabled"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let endpoint = fixture.stripe.read(|world| world.endpoints.rows()[0].id.clone());
    let endpoint = fixture.url(&format!("/dashboard/endpoints/{endpoint}"));
    assert_eq!(submit(&fixture, &endpoint, &[("disabled", "true")]).await, 303);
    assert!(page().await.contains("disabled"));
}

#[tokio::test]
async fn money_and_oddities_are_driven_by_http_too() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let call = async |method: &str, path: String, body: Value| {
        let method = method.parse().unwrap();
        let url = fixture.url(&format!("/_sandbox/{path}"));
        let request = fixture.client.request(method, url).json(&body);
        let (status, body) = crate::support::answer(request).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let slow = json!({ "amount": 100, "slow": true });
    let refund = call("POST", format!("charges/{charge}/refund"), slow).await;
    let refund = format!("refunds/{}", refund["id"].as_str().unwrap());
    let failed = call("POST", refund, json!({ "to": "failed" })).await;
    assert_eq!(failed["status"], "failed");
    let warning = call("POST", format!("charges/{charge}/fraud_warning"), json!({})).await;
    assert!(warning["id"].as_str().unwrap().starts_with("issfr_"));
    let reason = json!({ "reason": "product_not_received" });
    let dispute = call("POST", format!("charges/{charge}/dispute"), reason).await;
    assert_eq!(dispute["reason"], "product_not_received");
    let dispute = format!("disputes/{}", dispute["id"].as_str().unwrap());
    let won = call("POST", dispute, json!({ "to": "won" })).await;
    assert_eq!(won["status"], "won");

    let many = json!({ "price": MONTHLY, "count": 50 });
    let made = call("POST", "seed_many".to_owned(), many).await;
    assert_eq!(made["subscriptions"].as_array().unwrap().len(), 50);
    let settings = json!({ "after_retries": "mark_unpaid", "retry_days": [1] });
    let set = call("POST", "settings".to_owned(), settings).await;
    assert_eq!(set["after_retries"], "mark_unpaid");
    let archived = json!({ "archived": true });
    call("POST", format!("prices/{MONTHLY}"), archived).await;
    call("DELETE", format!("prices/{MONTHLY}"), Value::Null).await;
    assert_eq!(fixture.get(&format!("/v1/prices/{MONTHLY}")).await.0, 404);
    let foreign = call("POST", "foreign_subscription".to_owned(), Value::Null).await;
    let path = format!("/v1/subscriptions/{}", foreign["subscription"].as_str().unwrap());
    assert_eq!(fixture.get(&path).await.0, 404);
    let event = foreign["event"].as_str().unwrap();
    call("POST", format!("events/{event}/other_mode"), Value::Null).await;
    let told = fixture.newest("customer.subscription.updated");
    assert_eq!(told["livemode"], true);
    let customer = show(&fixture, &id)["customer"].as_str().unwrap().to_owned();
    call("DELETE", format!("customers/{customer}"), Value::Null).await;
    assert_eq!(show(&fixture, &id)["status"], "canceled");
}

#[tokio::test]
async fn what_a_buyer_types_is_not_run_as_html() {
    let fixture = Fixture::start().await;
    let session = fixture.checkout().await;
    let form = [("email", "\"><script>alert(1)</script>@x"), ("card", "declines")];
    let page = fixture
        .client
        .post(session["url"].as_str().unwrap())
        .form(&form)
        .send()
        .await
        .unwrap();
    assert!(!page.text().await.unwrap().contains("<script>"));
}

#[tokio::test]
async fn the_story_is_driven_by_http_as_by_the_library() {
    let fixture = Fixture::start().await;
    let post = |path: String, body: Value| {
        let request = fixture.client.post(fixture.url(&path)).json(&body);
        async { crate::support::answer(request).await }
    };
    let seeds = json!({ "price": MONTHLY, "count": 3 });
    let (status, made) = post("/_sandbox/subscriptions".to_owned(), seeds).await;
    assert_eq!(status, 200, "{made}");
    let id = made["subscriptions"][2].as_str().unwrap();
    let (_, failed) = post(
        format!("/_sandbox/subscriptions/{id}"),
        json!({ "action": "fail_payment" }),
    )
    .await;
    assert_eq!(failed["status"], "past_due");
    let change = json!({ "action": "set_quantity", "quantity": 5 });
    let (_, changed) = post(format!("/_sandbox/subscriptions/{id}"), change).await;
    assert_eq!(changed["items"]["data"][0]["quantity"], 5);
    let (status, _) = post(
        format!("/_sandbox/subscriptions/{id}"),
        json!({ "action": "explode" }),
    )
    .await;
    assert_eq!(status, 400);
    let faults = json!({ "seed": 1, "faults": { "drop_percent": 10, "shuffle_window": 5 } });
    assert_eq!(
        post("/_sandbox/faults/deliveries".to_owned(), faults).await.0,
        200
    );
    let typo = json!({ "faults": { "drop_percentage": 10 } });
    assert_eq!(post("/_sandbox/faults/deliveries".to_owned(), typo).await.0, 400);
    let session = fixture.checkout().await["id"].as_str().unwrap().to_owned();
    let (_, done) = post(
        format!("/_sandbox/checkout/{session}/complete"),
        json!({ "email": "z@example.com" }),
    )
    .await;
    assert_eq!(done["status"], "complete");
    let state = fixture
        .client
        .get(fixture.url("/_sandbox/state"))
        .send()
        .await
        .unwrap();
    let state: Value = state.json().await.unwrap();
    assert_eq!(state["subscriptions"].as_array().unwrap().len(), 4);
}

#[test]
fn actions_are_named_in_snake_case() {
    let action: Action = serde_json::from_value(json!({ "action": "cancel_at_period_end" })).unwrap();
    assert_eq!(action, Action::CancelAtPeriodEnd);
}
