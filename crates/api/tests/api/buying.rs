//! B5, B6, B11: what can be bought, once and again and again, before a Stripe that is strict.

use std::collections::BTreeSet;

use rolecall_db::{
    checkout_sessions::{CheckoutState, set_checkout_state},
    purchases::{PurchaseRead, set_purchase_standing, write_purchase},
    trials::{Holder, use_trial},
};
use rolecall_domain::{ids::MemberId, standing::Standing};
use rolecall_sandbox::stripe::{PriceSeed, world::catalog::Interval, world::customer::Card};
use serde_json::{Value, json};

use crate::support::{Answer, Browser, TestApp, app::logs, shop::Shop};

async fn buy(browser: &mut Browser, body: Value) -> Answer {
    browser.post("/api/v1/checkout", &body).await
}

fn session_id(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["session_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_paid_once_is_sold_as_what_is_paid_again_and_again() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await.to_string();
    let answer = buy(&mut browser, json!({"plan": "council", "price": "price_ever"})).await;
    let id = session_id(&answer);
    let session = shop.object(&id);
    assert_eq!(
        (&session["mode"], &session["amount_total"], &session["url"]),
        (&json!("payment"), &json!(49_900), &answer.json()["url"])
    );
    assert_eq!(session["metadata"]["rolecall_plan"], json!("council"));
    assert_eq!(session["client_reference_id"], json!(member_id));
    shop.stripe
        .complete_checkout(&id, "ada@example.test", Card::Works)
        .unwrap();
    let intent = shop.object(shop.object(&id)["payment_intent"].as_str().unwrap());
    assert_eq!(intent["metadata"]["rolecall_member_id"], json!(member_id));
    assert!(
        shop.object(&id)["customer"].is_string(),
        "so that the portal is theirs"
    );

    let monthly = session_id(&buy(&mut browser, json!({"plan": "council", "price": "price_month"})).await);
    let session = shop.object(&monthly);
    assert_eq!(session["mode"], json!("subscription"));
    let form = [("plan", "council"), ("price", "price_ever")];
    let page = browser.submit("/checkout", &form).await;
    assert!(page.status == 303 && page.location().contains(&id), "{page:?}");
}

#[tokio::test]
async fn a_plan_says_what_each_of_its_prices_is() {
    let shop = Shop::open().await;
    let page = shop.app.browser().page("/plans").await.text;
    for text in [
        "value=\"price_month\" checked",
        "$49 a month",
        "$490 a year",
        "$499 once, for good",
        "7 days free for new members",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    shop.app
        .tamper(
            "UPDATE plan_prices SET unit_amount = 1200, currency = 'jpy' WHERE price_id = 'price_ever';
             UPDATE plan_prices SET lifetime = true WHERE price_id = 'price_year'",
        )
        .await;
    let page = shop.app.browser().page("/plans").await.text;
    assert!(page.contains("1\u{202f}200 JPY once, for good"), "{page}");
    assert!(
        !page.contains("price_year"),
        "what would be charged for ever is not sold as paid once: {page}"
    );
    shop.app
        .tamper("DELETE FROM plan_prices WHERE price_id = 'price_month'")
        .await;
    let page = shop.app.browser().page("/plans").await.text;
    assert!(
        page.contains("Paid once, yours for good") && !page.contains("days free"),
        "{page}"
    );
}

#[tokio::test]
async fn clicks_that_mean_the_same_open_one_session_and_a_later_purchase_opens_another() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let body = json!({"plan": "council", "price": "price_ever"});
    let mut clicks = BTreeSet::new();
    let mut twins: Vec<Browser> = (0..4).map(|_| browser.clone()).collect();
    let opened = futures::future::join_all(twins.iter_mut().map(|twin| buy(twin, body.clone()))).await;
    clicks.extend(opened.iter().map(session_id));
    // Not the same minute of the clock, but the same purchase.
    shop.advance(599);
    clicks.insert(session_id(&buy(&mut browser, body.clone()).await));
    assert_eq!(clicks.len(), 1, "{clicks:?}");
    assert_eq!(
        shop.app
            .rows("SELECT to_jsonb(c) FROM checkout_sessions c")
            .await
            .len(),
        1
    );

    let first = clicks.first().unwrap().clone();
    shop.stripe
        .complete_checkout(&first, "ada@example.test", Card::Works)
        .unwrap();
    record_purchase(&shop.app, member_id, &first, true).await;
    let refused = buy(&mut browser, body.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (409, "already_subscribed")
    );
    assert!(refused.text.contains("\\\"again\\\": true"), "{refused:?}");
    let mut again = body.clone();
    again["again"] = json!(true);
    let second = session_id(&buy(&mut browser, again).await);
    assert_ne!(second, first);
    let mut as_before = body;
    as_before["confirm"] = json!(true);
    let same = session_id(&buy(&mut browser, as_before).await);
    assert_eq!(same, second, "what earlier versions called it");
}

#[tokio::test]
async fn free_days_are_for_who_has_not_had_them() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let trial = |shop: &Shop, id: &str| {
        let read = shop.stripe.read(|world| world.checkout(id).unwrap().clone());
        read.subscription_data.trial_days
    };
    let first = session_id(&buy(&mut browser, json!({"plan": "council"})).await);
    assert_eq!(trial(&shop, &first), Some(7));
    let kept = shop
        .app
        .rows("SELECT to_jsonb(trial_days) FROM checkout_sessions")
        .await;
    assert_eq!(kept, [7]);

    // The Discord account had them, as somebody else.
    let mut tx = shop.app.database.begin().await.unwrap();
    let holder = Holder::Discord(rolecall_domain::ids::DiscordUserId::new(4001).unwrap());
    let (plan, other) = ("council".parse().unwrap(), "sub_other".parse().unwrap());
    use_trial(&mut tx, &plan, &holder, &other, shop.app.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let page = browser.page("/plans").await.text;
    assert!(
        page.contains("You have had the free days of this plan") && !page.contains("days free"),
        "{page}"
    );
    let second = session_id(&buy(&mut browser, json!({"plan": "council"})).await);
    assert_ne!(second, first, "another request is another session");
    assert_eq!(trial(&shop, &second), None);
    assert_eq!(member_id, shop.app.member_id(&mut browser).await);
}

#[tokio::test]
async fn codes_and_tax_are_switches_of_the_plan() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let first = session_id(&buy(&mut browser, json!({"plan": "inner"})).await);
    let session = shop.object(&first);
    assert_eq!(
        (
            &session["allow_promotion_codes"],
            &session["automatic_tax"]["enabled"]
        ),
        (&json!(true), &json!(false))
    );
    shop.app
        .tamper("UPDATE plans SET promotion_codes = false, tax = true WHERE slug = 'inner'")
        .await;
    // Stripe refuses tax for a known customer whose address may not be kept.
    shop.subscribe(member_id, Card::Works).await;
    let second = session_id(&buy(&mut browser, json!({"plan": "inner"})).await);
    let session = shop.object(&second);
    assert!(session["customer"].is_string(), "{session}");
    assert_eq!(
        (
            &session["allow_promotion_codes"],
            &session["automatic_tax"]["enabled"]
        ),
        (&Value::Null, &json!(true))
    );
}

#[tokio::test]
async fn a_customer_that_stripe_has_deleted_is_replaced_by_a_new_one() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let subscription = shop.subscribe(member_id, Card::Works).await;
    let customer = shop.object(&subscription)["customer"]
        .as_str()
        .unwrap()
        .to_owned();
    shop.stripe.delete_customer(&customer).unwrap();
    let answer = browser.post("/api/v1/billing/portal", &Value::Null).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (409, "no_billing_account")
    );
    let page = browser.submit("/billing/portal", &[]).await;
    assert!(page.text.contains("as soon as you buy something"), "{page:?}");

    shop.app
        .tamper("UPDATE stripe_customers SET gone_at = NULL")
        .await;
    let id = session_id(&buy(&mut browser, json!({"plan": "inner"})).await);
    let session = shop.object(&id);
    assert_eq!(
        (&session["customer"], &session["customer_email"]),
        (&Value::Null, &json!("ada@example.test"))
    );
    let gone = shop
        .app
        .rows("SELECT to_jsonb(id) FROM stripe_customers WHERE gone_at IS NOT NULL")
        .await;
    assert_eq!(gone, [customer.as_str()]);
    let logs = logs().text();
    let lines = logs
        .lines()
        .filter(|line| line.contains(&customer) && line.contains("Stripe has deleted this customer"));
    assert_eq!(lines.count(), 2, "one for each time that it was found out");
}

#[tokio::test]
async fn who_has_no_address_that_is_verified_types_one_in_at_stripe() {
    let shop = Shop::open().await;
    shop.app.world.lock().unwrap().user["verified"] = json!(false);
    let mut browser = shop.app.signed_in().await;
    let id = session_id(&buy(&mut browser, json!({"plan": "council"})).await);
    let session = shop.object(&id);
    assert_eq!(
        (&session["customer"], &session["customer_email"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn what_stripe_does_not_sell_any_more_is_told_to_the_buyer_and_to_staff() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    shop.stripe.archive_price("price_year", true).unwrap();
    shop.stripe.delete_price("price_ever").unwrap();
    for price in ["price_year", "price_ever"] {
        let answer = buy(&mut browser, json!({"plan": "council", "price": price})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (422, "price_gone"),
            "{price}"
        );
    }
    let page = browser
        .submit("/checkout", &[("plan", "council"), ("price", "price_year")])
        .await;
    assert!(
        page.status == 422 && page.text.contains("please choose another price"),
        "{page:?}"
    );
    let logs = logs().text();
    assert!(
        logs.contains("a price on sale cannot be bought"),
        "staff can mend it"
    );
    let jobs = shop.app.jobs("jobs").await;
    assert!(
        jobs.iter().any(|job| job["kind"] == "sync_plans"),
        "so that it goes off sale: {jobs:?}"
    );
    assert!(
        shop.app
            .rows("SELECT to_jsonb(c) FROM checkout_sessions c")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn one_account_is_not_billed_in_two_currencies() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    shop.stripe.seed_price(&PriceSeed {
        currency: "eur".to_owned(),
        ..PriceSeed::usd("price_euro", "Inner", 18_000, Some(Interval::Month))
    });
    shop.app
        .tamper(
            "INSERT INTO plan_prices (price_id, plan_slug, lifetime, position, active, unit_amount, currency,
                                      billing_interval, billing_interval_count)
             VALUES ('price_euro', 'inner', false, 2, true, 18000, 'eur', 'month', 1)",
        )
        .await;
    let body = json!({"plan": "inner", "price": "price_euro"});
    session_id(&buy(&mut browser, body.clone()).await);
    shop.subscribe(member_id, Card::Works).await;
    let answer = buy(&mut browser, body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (409, "other_currency")
    );
    session_id(&buy(&mut browser, json!({"plan": "inner", "price": "price_inner"})).await);
}

#[tokio::test]
async fn the_landing_page_of_what_is_paid_once_follows_the_money() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let id = session_id(&buy(&mut browser, json!({"plan": "council", "price": "price_ever"})).await);
    let path = format!("/checkout/success?session_id={id}");
    let page = browser.page(&path).await.text;
    assert!(page.contains("Waiting for Stripe’s confirmation."), "{page}");

    record_purchase(&shop.app, member_id, &id, false).await;
    let page = browser.page(&path).await.text;
    assert!(
        page.contains("On its way from your bank.") && !page.contains("http-equiv"),
        "days are not waited for: {page}"
    );
    assert!(
        browser
            .page("/dashboard")
            .await
            .text
            .contains("Waiting for the money from your bank.")
    );

    record_purchase(&shop.app, member_id, &id, true).await;
    let page = browser.page(&path).await.text;
    assert!(
        page.contains("Your plan is active.") && page.contains("Asking Discord."),
        "{page}"
    );
    let page = browser.page("/dashboard").await.text;
    assert!(
        page.contains("Yours for good.") && page.contains("$499 on 21 November 2026"),
        "{page}"
    );
    assert_eq!(shop.app.me(&mut browser).await["standing"], json!("active"));
    let page = browser.page("/plans").await.text;
    assert!(page.contains("You have this"), "{page}");
}

/// What the worker keeps of a session that sold something once.
async fn record_purchase(app: &TestApp, member_id: MemberId, session: &str, paid: bool) {
    let (id, now) = (session.parse().unwrap(), app.now());
    let mut tx = app.database.begin().await.unwrap();
    set_checkout_state(&mut tx, &id, CheckoutState::Complete, None, now)
        .await
        .unwrap();
    let read = PurchaseRead {
        id: id.clone(),
        customer: None,
        member_id: Some(member_id),
        plan: Some("council".parse().unwrap()),
        payment_intent: None,
        paid,
        amount: 49_900,
        currency: "usd".to_owned(),
        bought_at: "2026-11-21T12:00:00Z".parse().unwrap(),
        livemode: false,
        read_started_at: now,
    };
    let mark = rolecall_db::purchases::find_purchase_mark(&mut tx, &id)
        .await
        .unwrap();
    assert!(write_purchase(&mut tx, &read, mark, now).await.unwrap());
    let standing = if paid { Standing::Active } else { Standing::Pending };
    set_purchase_standing(&mut tx, &id, standing, Some(now), paid)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}
