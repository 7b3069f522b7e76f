//! Several items, changes of quantity and plan, changes that wait for their payment.

use chrono::TimeDelta;
use reqwest::Method;
use rolecall_sandbox::stripe::PriceSeed;
use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::catalog::Interval;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::shapes::check;
use crate::support::{Fixture, MONTHLY, answer, start_of_2027};

async fn start() -> Fixture {
    let fixture = Fixture::start().await;
    for number in 0..21 {
        let price = format!("price_more_{number}");
        let seed = PriceSeed::usd(&price, &format!("More {number}"), 1_000, Some(Interval::Month));
        fixture.stripe.seed_price(&seed);
    }
    fixture
}

fn first_item(fixture: &Fixture, id: &str) -> String {
    let shown = fixture.stripe.object(id).unwrap();
    shown["items"]["data"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn items_are_added_changed_and_taken_away() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    let new = [
        ("subscription", id.as_str()),
        ("price", "price_more_0"),
        ("quantity", "3"),
    ];
    let item = fixture.ok("/v1/subscription_items", &new).await;
    check(include_str!("shapes/subscription_item.json"), &item);
    assert_eq!(
        (&item["quantity"], &item["subscription"]),
        (&3.into(), &id.as_str().into())
    );
    let path = format!("/v1/subscription_items/{}", item["id"].as_str().unwrap());
    assert_eq!(fixture.ok(&path, &[("quantity", "5")]).await["quantity"], 5);
    let told = fixture.newest("customer.subscription.updated");
    assert_eq!(told["data"]["object"]["items"]["data"][1]["quantity"], 5);
    assert_eq!(
        told["data"]["previous_attributes"]["items"]["data"][1]["quantity"],
        3
    );
    let listed = fixture
        .show(&format!("/v1/subscription_items?subscription={id}"))
        .await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let (_, gone) = answer(fixture.request(Method::DELETE, &path)).await;
    assert_eq!(gone["deleted"], true);
    assert_eq!(fixture.get(&path).await.0, 404);
    let last = format!("/v1/subscription_items/{}", first_item(&fixture, &id));
    assert_eq!(answer(fixture.request(Method::DELETE, &last)).await.0, 400);
}

#[tokio::test]
async fn of_many_items_the_first_ten_are_within_and_all_are_listed_in_their_order() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    for number in 0..19 {
        let price = format!("price_more_{number}");
        let new = [("subscription", id.as_str()), ("price", &price)];
        fixture.ok("/v1/subscription_items", &new).await;
    }
    let error = fixture
        .refused(
            "/v1/subscription_items",
            &[("subscription", &id), ("price", "price_more_20")],
        )
        .await;
    assert_eq!(error["param"], "items");
    let within = fixture.stripe.object(&id).unwrap()["items"].clone();
    assert_eq!(within["has_more"], true);
    let mut seen: Vec<String> = ids(&within);
    assert_eq!(seen.len(), 10);
    loop {
        let after = seen.last().unwrap();
        let path = format!("/v1/subscription_items?subscription={id}&limit=4&starting_after={after}");
        let page = fixture.show(&path).await;
        seen.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
    }
    let all = fixture.stripe.read(|world| {
        let items = &world.subscription(&id).unwrap().items;
        items.iter().map(|item| item.id.clone()).collect::<Vec<_>>()
    });
    assert_eq!(seen, all);
    let first = fixture
        .show(&format!(
            "/v1/subscription_items?subscription={id}&limit=2&ending_before={}",
            seen[5]
        ))
        .await;
    assert_eq!(ids(&first), seen[3..5]);
}

fn ids(list: &Value) -> Vec<String> {
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_change_that_waits_for_its_payment_is_made_when_it_is_paid() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::FailsLater);
    let item = first_item(&fixture, &id);
    let path = format!("/v1/subscriptions/{id}");
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", "4"),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "pending_if_incomplete"),
    ];
    let waiting = fixture.ok(&path, &form).await;
    check(include_str!("shapes/subscription.json"), &waiting);
    assert_eq!(waiting["items"]["data"][0]["quantity"], 1);
    assert_eq!(waiting["status"], "active");
    assert_eq!(waiting["pending_update"]["subscription_items"][0]["quantity"], 4);
    let events = fixture.caused(|| fixture.stripe.pay_open_invoice(&id).unwrap());
    assert_eq!(
        events.last().unwrap(),
        "customer.subscription.pending_update_applied"
    );
    let made = fixture.show(&path).await;
    assert_eq!(made["items"]["data"][0]["quantity"], 4);
    assert_eq!(made["pending_update"], Value::Null);
}

#[tokio::test]
async fn a_change_whose_payment_does_not_come_is_forgotten_after_23_hours() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::FailsLater);
    let item = first_item(&fixture, &id);
    let path = format!("/v1/subscription_items/{item}");
    let form = [
        ("quantity", "4"),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "pending_if_incomplete"),
    ];
    fixture.ok(&path, &form).await;
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::hours(23))
        .unwrap();
    let types = fixture.event_types();
    assert!(types.contains(&"customer.subscription.pending_update_expired".to_owned()));
    let kept = fixture.stripe.object(&id).unwrap();
    assert_eq!(
        (&kept["status"], &kept["pending_update"]),
        (&"active".into(), &Value::Null)
    );
    assert_eq!(kept["items"]["data"][0]["quantity"], 1);
}

#[tokio::test]
async fn a_change_that_must_be_paid_is_refused_and_nothing_changes() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::FailsLater);
    let item = first_item(&fixture, &id);
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", "4"),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "error_if_incomplete"),
    ];
    let before = fixture.stripe.object(&id);
    let error = fixture.refused(&format!("/v1/subscriptions/{id}"), &form).await;
    assert_eq!(error["code"], "card_declined");
    assert_eq!(fixture.stripe.object(&id), before);
}

#[tokio::test]
async fn a_change_is_settled_from_the_moment_that_its_preview_named() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    let item = first_item(&fixture, &id);
    let at = start_of_2027() + TimeDelta::days(10);
    fixture.stripe.advance_to(at).unwrap();
    let at = at.timestamp().to_string();
    let preview = [
        ("subscription", id.as_str()),
        ("subscription_details[items][0][id]", item.as_str()),
        ("subscription_details[items][0][price]", "price_more_1"),
        ("subscription_details[proration_behavior]", "always_invoice"),
        ("subscription_details[proration_date]", &at),
    ];
    let previewed = fixture.ok("/v1/invoices/create_preview", &preview).await;
    check(include_str!("shapes/invoice.json"), &previewed);
    assert_eq!(previewed["lines"]["data"].as_array().unwrap().len(), 2);
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::days(11))
        .unwrap();
    let change = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", "price_more_1"),
        ("proration_behavior", "always_invoice"),
        ("proration_date", &at),
    ];
    let changed = fixture.ok(&format!("/v1/subscriptions/{id}"), &change).await;
    let invoice = fixture
        .stripe
        .object(changed["latest_invoice"].as_str().unwrap())
        .unwrap();
    assert_eq!(invoice["total"], previewed["total"]);
    let lines = format!("/v1/invoices/{}/lines", invoice["id"].as_str().unwrap());
    let lines = fixture.show(&lines).await;
    assert_eq!(
        lines["data"][0]["amount"],
        previewed["lines"]["data"][0]["amount"]
    );
}

#[tokio::test]
async fn a_change_that_settles_nothing_is_settled_from_no_moment() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    let item = first_item(&fixture, &id);
    let before = fixture.stripe.object(&id);
    let now = start_of_2027().timestamp().to_string();
    let preview = [
        ("subscription", id.as_str()),
        ("subscription_details[items][0][id]", item.as_str()),
        ("subscription_details[items][0][price]", "price_more_1"),
        ("subscription_details[proration_behavior]", "none"),
        ("subscription_details[proration_date]", &now),
    ];
    let error = fixture.refused("/v1/invoices/create_preview", &preview).await;
    assert_eq!(error["param"], "subscription_details[proration_date]");
    fixture.ok("/v1/invoices/create_preview", &preview[..4]).await;

    let path = format!("/v1/subscriptions/{id}");
    let change = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", "price_more_1"),
        ("proration_behavior", "none"),
        ("proration_date", &now),
    ];
    let error = fixture.refused(&path, &change).await;
    assert_eq!(
        (&error["type"], &error["param"]),
        (&"invalid_request_error".into(), &"proration_date".into())
    );
    assert_eq!(fixture.stripe.object(&id), before);
    fixture.ok(&path, &change[..3]).await;
}

#[tokio::test]
async fn two_hundred_changes_of_quantity_in_an_hour_are_enough() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    let set = |quantity| fixture.stripe.act(&id, &Action::SetQuantity { quantity });
    for change in 0..200 {
        set(2 + change % 2).unwrap();
    }
    let item = first_item(&fixture, &id);
    let path = format!("/v1/subscription_items/{item}");
    let (status, body) = fixture.post(&path, &[("quantity", "9")]).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (429, &"rate_limit".into())
    );
    let (status, _) = fixture.post(&path, &[("price", "price_more_3")]).await;
    assert_eq!(status, 200, "another price is no change of quantity");
    fixture
        .stripe
        .advance_to(start_of_2027() + TimeDelta::hours(1))
        .unwrap();
    set(9).unwrap();
}

#[tokio::test]
async fn a_quantity_of_nothing_costs_nothing() {
    let fixture = start().await;
    let id = fixture.subscribe(Card::Works);
    let item = first_item(&fixture, &id);
    let path = format!("/v1/subscription_items/{item}");
    assert_eq!(fixture.ok(&path, &[("quantity", "0")]).await["quantity"], 0);
    fixture.stripe.renew(&id).unwrap();
    let shown = fixture.stripe.object(&id).unwrap();
    assert_eq!(shown["status"], "active");
    for wrong in ["-1", "1000000", "x"] {
        let error = fixture.refused(&path, &[("quantity", wrong)]).await;
        assert_eq!(error["param"], "quantity");
    }
    let wrong = [("customer", "cus_none"), ("items[0][price]", MONTHLY)];
    assert_eq!(
        fixture.refused("/v1/subscriptions", &wrong).await["param"],
        "customer"
    );
}

#[tokio::test]
async fn a_trial_keeps_its_end_whatever_it_is_changed_to() {
    let fixture = start().await;
    let yearly = PriceSeed::usd("price_long", "Long", 9_000, Some(Interval::Year));
    fixture.stripe.seed_price(&yearly);
    let customer = fixture.ok("/v1/customers", &[]).await;
    let form = [
        ("customer", customer["id"].as_str().unwrap()),
        ("items[0][price]", MONTHLY),
        ("trial_period_days", "7"),
    ];
    let trial = fixture.ok("/v1/subscriptions", &form).await;
    let (id, item) = (trial["id"].as_str().unwrap(), &trial["items"]["data"][0]["id"]);
    let change = [
        ("items[0][id]", item.as_str().unwrap()),
        ("items[0][price]", "price_long"),
        ("proration_behavior", "always_invoice"),
    ];
    let changed = fixture.ok(&format!("/v1/subscriptions/{id}"), &change).await;
    assert_eq!(
        (&changed["status"], &changed["trial_end"]),
        (&"trialing".into(), &trial["trial_end"])
    );
    assert_eq!(
        changed["latest_invoice"], trial["latest_invoice"],
        "nothing is billed"
    );
    assert_eq!(changed["items"]["data"][0]["price"]["id"], "price_long");
}
