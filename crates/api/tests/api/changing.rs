//! B8: changing the plan of a subscription, seen first and then charged as seen.

use rolecall_db::subscriptions::set_standing;
use rolecall_domain::standing::Standing;
use rolecall_sandbox::stripe::{
    PriceSeed,
    faults::{FaultKind, RequestFault},
    story::discount::Redemption,
    world::{
        Metadata,
        catalog::Interval,
        customer::Card,
        discount::{Coupon, CouponDuration, DiscountWish, Off},
    },
};
use serde_json::{Value, json};

use crate::support::{Answer, Browser, shop::Shop};

const PREVIEW: &str = "/api/v1/billing/change/preview";
const CHANGE: &str = "/api/v1/billing/change";

/// Somebody who pays $49 a month for "council", ten days into the month.
async fn member(card: Card) -> (Shop, Browser, String) {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let subscription = shop.subscribe(member_id, card).await;
    shop.advance(10 * 86_400);
    (shop, browser, subscription)
}

fn to_inner(subscription: &str) -> Value {
    json!({"subscription_id": subscription, "plan": "inner"})
}

fn good(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn price(shop: &Shop, subscription: &str) -> Value {
    shop.object(subscription)["items"]["data"][0]["price"]["id"].clone()
}

fn latest_invoice(shop: &Shop, subscription: &str) -> Value {
    shop.object(shop.object(subscription)["latest_invoice"].as_str().unwrap())
}

#[tokio::test]
async fn a_change_is_charged_as_it_was_previewed() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let body = to_inner(&subscription);
    let preview = good(&browser.post(PREVIEW, &body).await);
    // Twenty of thirty days are left: two thirds of $199 less two thirds of $49.
    assert_eq!(
        (&preview["amount_due"], &preview["currency"]),
        (&json!(10_000), &json!("usd"))
    );
    let lines = preview["lines"].as_array().unwrap();
    let amounts: Vec<i64> = lines
        .iter()
        .map(|line| line["amount"].as_i64().unwrap())
        .collect();
    assert_eq!(amounts, [-3_267, 13_267], "{lines:?}");
    assert!(lines.iter().all(|line| line["proration"] == true), "{lines:?}");
    assert_eq!(
        preview["next"],
        json!({"amount": 19_900, "interval": "month", "interval_count": 1, "at": "2026-12-21T12:00:00Z"})
    );
    assert_eq!(
        price(&shop, &subscription),
        "price_month",
        "nothing is changed yet"
    );

    // An hour of prorations would make another sum; the one that was shown counts.
    shop.advance(20 * 60);
    let changed = good(&browser.post(CHANGE, &body).await);
    assert_eq!(changed["amount_due"], preview["amount_due"]);
    assert_eq!(price(&shop, &subscription), "price_inner");
    let invoice = latest_invoice(&shop, &subscription);
    assert_eq!(
        (&invoice["amount_due"], &invoice["status"]),
        (&json!(10_000), &json!("paid"))
    );
    let jobs = shop.app.jobs("jobs").await;
    assert!(
        jobs.iter()
            .any(|job| job["kind"] == "sync_subscription" && job["args"]["subscription_id"] == *subscription),
        "{jobs:?}"
    );
    let audit = shop
        .app
        .rows("SELECT detail FROM audit_log WHERE action = 'subscription.changed'")
        .await;
    assert_eq!(audit.len(), 1);
    assert_eq!(
        (&audit[0]["plan"], &audit[0]["amount_due"]),
        (&json!("inner"), &json!(10_000))
    );
    let again = browser.post(CHANGE, &body).await;
    assert_eq!(
        again.code(),
        "nothing_to_change",
        "Stripe knows it, whatever is stored"
    );
}

#[tokio::test]
async fn a_cheaper_plan_gives_a_credit_and_the_other_policy_settles_nothing() {
    let shop = Shop::open().await;
    let mut browser = shop.app.signed_in().await;
    let member_id = shop.app.member_id(&mut browser).await;
    let inner = shop
        .subscribe_to(member_id, Card::Works, "price_inner", "inner")
        .await;
    shop.advance(10 * 86_400);
    let body = json!({"subscription_id": inner, "plan": "council"});
    let preview = good(&browser.post(PREVIEW, &body).await);
    assert_eq!(
        (&preview["amount_due"], &preview["credit"]),
        (&json!(0), &json!(10_000))
    );
    shop.app
        .tamper("UPDATE plans SET proration = 'none' WHERE slug = 'council'")
        .await;
    let preview = good(&browser.post(PREVIEW, &body).await);
    assert_eq!(
        (&preview["amount_due"], &preview["credit"], &preview["lines"]),
        (&json!(0), &json!(0), &json!([]))
    );
    assert_eq!(preview["next"]["amount"], 4_900);
    let invoices = |shop: &Shop| shop.stripe.read(|world| world.invoices.rows().len());
    let before = invoices(&shop);
    good(&browser.post(CHANGE, &body).await);
    assert_eq!(price(&shop, &inner), "price_month");
    assert_eq!(invoices(&shop), before, "nothing is billed");
}

#[tokio::test]
async fn another_interval_begins_a_new_period_now() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let body = json!({"subscription_id": subscription, "plan": "council", "price": "price_year"});
    let preview = good(&browser.post(PREVIEW, &body).await);
    assert_eq!(preview["amount_due"], json!(49_000 - 3_267));
    assert_eq!(
        preview["next"],
        json!({"amount": 49_000, "interval": "year", "interval_count": 1, "at": "2027-12-01T12:00:00Z"})
    );
    good(&browser.post(CHANGE, &body).await);
    assert_eq!(
        latest_invoice(&shop, &subscription)["amount_due"],
        preview["amount_due"]
    );
}

#[tokio::test]
async fn a_plan_that_settles_nothing_is_previewed_and_changed_there_and_back() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    shop.app.tamper("UPDATE plans SET proration = 'none'").await;
    let invoices = |shop: &Shop| shop.stripe.read(|world| world.invoices.rows().len());
    let before = invoices(&shop);
    // The second time around the wish is the same as the first, and another change.
    for _ in 0..2 {
        for (plan, wanted, amount) in [
            ("inner", "price_inner", 19_900),
            ("council", "price_month", 4_900),
        ] {
            let body = json!({"subscription_id": subscription, "plan": plan});
            let preview = good(&browser.post(PREVIEW, &body).await);
            assert_eq!(
                (&preview["amount_due"], &preview["next"]["amount"]),
                (&json!(0), &json!(amount))
            );
            good(&browser.post(CHANGE, &body).await);
            assert_eq!(price(&shop, &subscription), wanted);
            // What the worker reads of it.
            shop.app
                .tamper(
                    "UPDATE subscriptions
                     SET plan_slug = CASE plan_slug WHEN 'council' THEN 'inner' ELSE 'council' END,
                         price_ids = CASE plan_slug WHEN 'council' THEN ARRAY['price_inner']
                                                    ELSE ARRAY['price_month'] END",
                )
                .await;
            shop.advance(60);
        }
    }
    assert_eq!(invoices(&shop), before, "nothing is billed");
}

#[tokio::test]
async fn clicks_at_the_same_time_change_it_once() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let body = to_inner(&subscription);
    good(&browser.post(PREVIEW, &body).await);
    let mut twin = browser.clone();
    let (first, second) = tokio::join!(browser.post(CHANGE, &body), twin.post(CHANGE, &body));
    for answer in [&first, &second] {
        let fine = answer.status == 200 || answer.code() == "nothing_to_change";
        assert!(fine, "{answer:?}");
    }
    let updates = shop.stripe.read(|world| {
        let invoices = world.invoices.rows().iter();
        invoices
            .filter(|invoice| invoice.billing_reason == "subscription_update")
            .count()
    });
    assert_eq!(updates, 1);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_in_words() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
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
    let with = |more: Value| {
        let mut body = to_inner(&subscription);
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (body, status, code) in [
        (with(json!({"plan": "council"})), 422, "nothing_to_change"),
        (with(json!({"plan": "nonsense"})), 422, "plan_not_on_sale"),
        (with(json!({"plan": "team"})), 422, "plan_not_changeable"),
        (with(json!({"price": "price_month"})), 422, "price_not_of_plan"),
        (with(json!({"price": "price_euro"})), 409, "other_currency"),
        (
            with(json!({"plan": "council", "price": "price_ever"})),
            422,
            "plan_not_changeable",
        ),
        (with(json!({"quantity": 0})), 422, "quantity_not_one"),
        (with(json!({"quantity": -4})), 422, "quantity_not_one"),
        (
            with(json!({"quantity": 999_999_999_999_i64})),
            422,
            "quantity_not_one",
        ),
        (with(json!({"subscription_id": "sub_other"})), 404, "not_found"),
        (with(json!({"subscription_id": ""})), 404, "not_found"),
    ] {
        for path in [PREVIEW, CHANGE] {
            let answer = browser.post(path, &body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (status, code),
                "{path} {body}"
            );
        }
    }
    for (standing, code) in [
        (Standing::Debtor, "payment_owed"),
        (Standing::Paused, "plan_not_changeable"),
        (Standing::Ended, "subscription_ended"),
    ] {
        let mut tx = shop.app.database.begin().await.unwrap();
        set_standing(&mut tx, &subscription.parse().unwrap(), standing, None, true)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let answer = browser.post(PREVIEW, &to_inner(&subscription)).await;
        assert_eq!(answer.code(), code);
    }
    assert_eq!(price(&shop, &subscription), "price_month");
}

#[tokio::test]
async fn nobody_changes_what_is_somebody_else_s() {
    let (shop, _, subscription) = member(Card::Works).await;
    shop.app.world.lock().unwrap().user = json!({
        "id": "4002", "username": "eve", "global_name": "Eve", "email": "eve@example.test", "verified": true
    });
    let mut stranger = shop.app.signed_in().await;
    for path in [PREVIEW, CHANGE] {
        let answer = stranger.post(path, &to_inner(&subscription)).await;
        assert_eq!(answer.code(), "not_found", "{path}");
    }
    let page = stranger
        .page(&format!("/billing/change?subscription={subscription}"))
        .await;
    assert_eq!(page.status, 404);
    let mut nobody = shop.app.browser();
    assert_eq!(
        nobody.post(PREVIEW, &to_inner(&subscription)).await.code(),
        "not_signed_in"
    );
    assert_eq!(shop.requests("POST", "/v1/invoices/create_preview"), 0);
}

#[tokio::test]
async fn what_has_ended_at_stripe_is_not_changed_even_before_it_is_told() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    shop.stripe.cancel(&subscription).unwrap();
    let answer = browser.post(PREVIEW, &to_inner(&subscription)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (409, "subscription_ended")
    );
}

#[tokio::test]
async fn a_card_that_does_not_pay_changes_nothing() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let customer = shop.object(&subscription)["customer"]
        .as_str()
        .unwrap()
        .to_owned();
    for (card, code) in [
        (Card::Declines, "card_declined"),
        (Card::RequiresAction, "payment_unconfirmed"),
    ] {
        shop.stripe
            .with(|world| world.attach_card(&customer, card))
            .unwrap();
        good(&browser.post(PREVIEW, &to_inner(&subscription)).await);
        let answer = browser.post(CHANGE, &to_inner(&subscription)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (402, code));
        shop.advance(1);
        assert_eq!(price(&shop, &subscription), "price_month");
    }
    let form = [
        ("subscription", subscription.as_str()),
        ("choice", "inner/price_inner"),
        ("amount_due", "10000"),
    ];
    let page = browser.submit("/billing/change", &form).await;
    assert!(
        page.status == 402 && page.text.contains("Nothing was changed or charged"),
        "{page:?}"
    );

    // Another card, and the same wish: Stripe is asked anew.
    shop.advance(1);
    shop.stripe
        .with(|world| world.attach_card(&customer, Card::Works))
        .unwrap();
    good(&browser.post(CHANGE, &to_inner(&subscription)).await);
    assert_eq!(price(&shop, &subscription), "price_inner");
}

#[tokio::test]
async fn a_person_chooses_sees_and_confirms_without_javascript() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let dashboard = browser.page("/dashboard").await.text;
    let link = format!("/billing/change?subscription={subscription}");
    assert!(dashboard.contains(&format!("href=\"{link}\"")), "{dashboard}");
    let page = browser.page(&link).await.text;
    assert!(
        page.contains("You have Council member.")
            && page.contains("value=\"inner/price_inner\"")
            && page.contains("value=\"council/price_year\"")
            && !page.contains("price_month")
            && !page.contains("price_ever"),
        "{page}"
    );
    let yearly = [
        ("subscription", subscription.as_str()),
        ("choice", "council/price_year"),
    ];
    let page = browser.submit("/billing/change/preview", &yearly).await.text;
    assert!(
        page.contains("<h1>Pay $490 a year for Council member?</h1>"),
        "{page}"
    );
    let form = [
        ("subscription", subscription.as_str()),
        ("choice", "inner/price_inner"),
    ];
    let page = browser.submit("/billing/change/preview", &form).await.text;
    for text in [
        "<h1>Change to Inner circle?</h1>",
        "Today you pay $100.",
        "From 21 December 2026: $199 a month.",
        "−$32.67",
        "$132.67",
        "name=\"amount_due\" value=\"10000\"",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let unseen = browser.submit("/billing/change", &form).await;
    assert!(
        unseen.status == 200 && unseen.text.contains("Today you pay"),
        "nobody pays what they have not seen: {unseen:?}"
    );
    let confirm = [form[0], form[1], ("amount_due", "10000")];
    let done = browser.submit("/billing/change", &confirm).await;
    assert_eq!(
        (done.status.as_u16(), done.location()),
        (303, "/dashboard?notice=changed")
    );
    assert_eq!(price(&shop, &subscription), "price_inner");
    let page = browser.page("/dashboard?notice=changed").await.text;
    assert!(page.contains("Your plan is being changed."), "{page}");
}

#[tokio::test]
async fn a_discount_that_ends_between_the_preview_and_the_change_is_told_first() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    halve(&shop, &subscription);
    let form = [
        ("subscription", subscription.as_str()),
        ("choice", "inner/price_inner"),
    ];
    let page = browser.submit("/billing/change/preview", &form).await.text;
    assert!(page.contains("Today you pay $50."), "{page}");
    shop.stripe
        .with(|world| world.clear_discounts(&subscription))
        .unwrap();
    let confirm = [form[0], form[1], ("amount_due", "5000")];
    let answer = browser.post(CHANGE, &to_inner(&subscription)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (409, "preview_outdated")
    );
    let page = browser.submit("/billing/change", &confirm).await;
    assert!(
        page.status == 200
            && page.text.contains("has changed since you saw it")
            && page.text.contains("Today you pay $100."),
        "{page:?}"
    );
    assert_eq!(price(&shop, &subscription), "price_month");
    let confirm = [form[0], form[1], ("amount_due", "10000")];
    assert_eq!(browser.submit("/billing/change", &confirm).await.status, 303);
}

/// The subscription costs half from now on.
fn halve(shop: &Shop, subscription: &str) {
    let coupon = Coupon {
        id: "HALF".to_owned(),
        name: None,
        off: Off::Percent(5_000),
        currency: None,
        duration: CouponDuration::Forever,
        products: Vec::new(),
        max_redemptions: None,
        redeem_by: None,
        times_redeemed: 0,
        metadata: Metadata::new(),
        deleted: false,
        created: shop.app.now().timestamp(),
    };
    shop.stripe.add_coupon(coupon).unwrap();
    let customer = shop.object(subscription)["customer"].as_str().unwrap().to_owned();
    let purchase = Redemption {
        customer: Some(&customer),
        amount: 4_900,
        currency: "usd",
    };
    let wish = DiscountWish::Coupon("HALF".to_owned());
    shop.stripe
        .with(|world| {
            let discount = world.redeem(&wish, &purchase, Some(subscription), None)?;
            world.change_subscription(subscription, |row| row.discounts.push(discount))
        })
        .unwrap();
}

#[tokio::test]
async fn a_stripe_that_does_not_answer_changes_nothing() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    shop.stripe.add_request_fault(RequestFault {
        path_contains: Some("/v1/invoices/create_preview".to_owned()),
        times: None,
        fault: FaultKind::Status {
            status: 503,
            retry_after: Some(0),
            applied: false,
        },
    });
    let answer = browser.post(CHANGE, &to_inner(&subscription)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "stripe_unavailable")
    );
    assert_eq!(price(&shop, &subscription), "price_month");
}

/// One attempt and all its repetitions.
const ALL: u32 = 4;

#[tokio::test]
async fn a_change_that_stripe_failed_at_is_made_at_the_next_click() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.fails(&format!("POST {path}"), 1, 500);
    let body = to_inner(&subscription);
    good(&browser.post(PREVIEW, &body).await);
    let answer = browser.post(CHANGE, &body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "stripe_unavailable")
    );
    assert_eq!(price(&shop, &subscription), "price_month");
    shop.advance(1);
    good(&browser.post(CHANGE, &body).await);
    assert_eq!(price(&shop, &subscription), "price_inner");
    assert_eq!(shop.keys("POST", &path).len(), 2);
}

#[tokio::test]
async fn a_change_that_may_be_under_way_keeps_its_key() {
    let (shop, mut browser, subscription) = member(Card::Works).await;
    let path = format!("/v1/subscriptions/{subscription}");
    shop.fails(&format!("POST {path}"), ALL, 409);
    let body = to_inner(&subscription);
    good(&browser.post(PREVIEW, &body).await);
    assert_eq!(browser.post(CHANGE, &body).await.code(), "stripe_unavailable");
    shop.advance(60);
    good(&browser.post(CHANGE, &body).await);
    assert_eq!(price(&shop, &subscription), "price_inner");
    assert_eq!(shop.keys("POST", &path).len(), 1);
}
