//! `prices`: what is on sale, and in which order.

use rolecall_db::{
    Transaction,
    catalog::{archive_plan, upsert_plan, upsert_plan_prices},
    prices::{
        Price, PriceRead, list_prices_held_by, list_prices_on_sale, list_stale_prices, set_price_gone,
        set_price_read,
    },
    subscriptions::SubscriptionRead,
};
use rolecall_domain::ids::StripePriceId;

use crate::support::{TestDb, at, parse, person, plan, plan_row, price, read, subscribe};

async fn on_sale(tx: &mut Transaction) -> Vec<String> {
    let prices = list_prices_on_sale(tx).await.unwrap();
    prices
        .into_iter()
        .map(|price| price.id.as_str().to_owned())
        .collect()
}

fn price_read(id: &StripePriceId, active: bool) -> PriceRead<'_> {
    PriceRead {
        id,
        active,
        unit_amount: Some(900),
        currency: "eur",
        interval: Some("month"),
        interval_count: Some(3),
    }
}

#[tokio::test]
async fn prices_on_sale_come_by_plan_then_recurring_before_lifetime_then_as_written() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (slug, position, recurring, lifetime) in [
        ("zebra", 1, ["z_year", "z_month"], "z_life"),
        ("ant", 2, ["a_year", "a_month"], "a_life"),
        ("bee", 2, ["b_2", "b_1"], "b_life"),
    ] {
        let row = plan_row(slug, position);
        upsert_plan(&mut tx, &row).await.unwrap();
        upsert_plan_prices(&mut tx, &row.plan.slug, &[price(lifetime)], true)
            .await
            .unwrap();
        upsert_plan_prices(&mut tx, &row.plan.slug, &recurring.map(price), false)
            .await
            .unwrap();
    }
    let expected = [
        "z_year", "z_month", "z_life", "a_year", "a_month", "a_life", "b_2", "b_1", "b_life",
    ];
    assert_eq!(on_sale(&mut tx).await, expected);
}

#[tokio::test]
async fn archived_plans_and_inactive_prices_are_not_on_sale() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let old = plan(&mut tx, "old", &["price_old"]).await;
    plan(
        &mut tx,
        "live",
        &["price_unread", "price_active", "price_inactive"],
    )
    .await;
    archive_plan(&mut tx, &old).await.unwrap();
    set_price_read(&mut tx, &price_read(&price("price_active"), true), at(0))
        .await
        .unwrap();
    set_price_read(&mut tx, &price_read(&price("price_inactive"), false), at(0))
        .await
        .unwrap();
    assert_eq!(on_sale(&mut tx).await, ["price_unread", "price_active"]);
}

#[tokio::test]
async fn what_stripe_says_of_a_price_is_kept_for_that_price() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    plan(&mut tx, "council", &["price_1", "price_2"]).await;
    set_price_read(&mut tx, &price_read(&price("price_1"), true), at(0))
        .await
        .unwrap();
    let unread = |id: &str| Price {
        id: price(id),
        plan: parse("council"),
        lifetime: false,
        unit_amount: None,
        currency: None,
        interval: None,
        interval_count: None,
    };
    let known = Price {
        unit_amount: Some(900),
        currency: Some("eur".to_owned()),
        interval: Some("month".to_owned()),
        interval_count: Some(3),
        ..unread("price_1")
    };
    assert_eq!(
        list_prices_on_sale(&mut tx).await.unwrap(),
        [known, unread("price_2")]
    );
    assert!(
        set_price_read(&mut tx, &price_read(&price("price_3"), true), at(0))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn prices_never_read_come_before_those_read_long_ago() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    plan(&mut tx, "council", &["price_1", "price_2", "price_3", "price_4"]).await;
    for (id, seconds) in [("price_1", 20), ("price_2", 10), ("price_4", 30)] {
        set_price_read(&mut tx, &price_read(&price(id), true), at(seconds))
            .await
            .unwrap();
    }
    let stale = list_stale_prices(&mut tx, at(30), 9).await.unwrap();
    assert_eq!(stale, ["price_3", "price_2", "price_1"].map(price));
    let stale = list_stale_prices(&mut tx, at(30), 2).await.unwrap();
    assert_eq!(stale, ["price_3", "price_2"].map(price));
}

#[tokio::test]
async fn a_person_holds_the_known_prices_of_their_own_subscriptions_on_sale_or_not() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let old = plan(&mut tx, "old", &["price_1", "price_2", "price_3"]).await;
    archive_plan(&mut tx, &old).await.unwrap();
    set_price_read(&mut tx, &price_read(&price("price_2"), false), at(0))
        .await
        .unwrap();
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (id, member_id, prices) in [
        ("sub_1", one, vec!["price_unknown", "price_2", "price_1"]),
        ("sub_2", one, vec!["price_2"]),
        ("sub_3", other, vec!["price_3"]),
    ] {
        let prices = prices.into_iter().map(price).collect();
        subscribe(
            &mut tx,
            &SubscriptionRead {
                member_id: Some(member_id),
                prices,
                ..read(id)
            },
        )
        .await;
    }
    let held = list_prices_held_by(&mut tx, one).await.unwrap();
    let found: Vec<_> = held
        .iter()
        .map(|(id, price)| (id.as_str(), price.id.as_str(), price.unit_amount))
        .collect();
    let expected = [
        ("sub_1", "price_1", None),
        ("sub_1", "price_2", Some(900)),
        ("sub_2", "price_2", Some(900)),
    ];
    assert_eq!(found, expected);
    let held = list_prices_held_by(&mut tx, other).await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].1.id.as_str(), &held[0].1.plan), ("price_3", &old));
}

#[tokio::test]
async fn a_price_that_is_gone_is_off_sale_until_it_is_read_again() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    plan(&mut tx, "council", &["price_1", "price_2"]).await;
    set_price_gone(&mut tx, &price("price_1"), at(5)).await.unwrap();
    assert_eq!(on_sale(&mut tx).await, ["price_2"]);
    let stale = list_stale_prices(&mut tx, at(5), 9).await.unwrap();
    assert_eq!(stale, [price("price_2")]);
    set_price_read(&mut tx, &price_read(&price("price_1"), true), at(6))
        .await
        .unwrap();
    assert_eq!(on_sale(&mut tx).await, ["price_1", "price_2"]);
}

#[test]
fn what_stripe_says_of_a_price_counts_more_than_the_plans_file() {
    let sold = |lifetime, currency: Option<&str>, interval: Option<&str>| Price {
        id: price("price_1"),
        plan: parse("council"),
        lifetime,
        unit_amount: Some(900),
        currency: currency.map(str::to_owned),
        interval: interval.map(str::to_owned),
        interval_count: None,
    };
    for (price, one_time, misnamed) in [
        (sold(false, None, None), false, false),
        (sold(true, None, None), true, false),
        (sold(false, Some("eur"), Some("month")), false, false),
        (sold(false, Some("eur"), None), true, false),
        (sold(true, Some("eur"), None), true, false),
        (sold(true, Some("eur"), Some("month")), false, true),
    ] {
        assert_eq!(
            (price.is_one_time(), price.is_misnamed()),
            (one_time, misnamed),
            "{price:?}"
        );
    }
}
