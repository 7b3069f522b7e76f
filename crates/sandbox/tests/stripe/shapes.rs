//! Every answer has the fields and types of Stripe's own libraries: `shapes/` holds the required part of
//! their types as JSON Schema.

use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::support::{Fixture, MONTHLY};

/// Checks the part of JSON Schema that the files use; answers the faults with their places.
fn faults(schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices
            .iter()
            .any(|choice| faults(choice, value, place).is_empty());
        return if fits {
            Vec::new()
        } else {
            vec![format!("{place}: {value} fits no alternative")]
        };
    }
    if let Some(values) = schema["enum"].as_array() {
        return if values.contains(value) {
            Vec::new()
        } else {
            vec![format!("{place}: {value} is not listed")]
        };
    }
    let mut found = Vec::new();
    if !schema["type"].is_null() && !type_fits(&schema["type"], value) {
        found.push(format!("{place}: {value} is no {}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            found.extend(faults(inner, value, &format!("{place}.{name}")));
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        found.extend(
            values
                .iter()
                .flat_map(|value| faults(items, value, &format!("{place}[]"))),
        );
    }
    found
}

fn type_fits(expected: &Value, value: &Value) -> bool {
    let one = |name: &str| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        other => panic!("the schema names an unknown type {other}"),
    };
    match expected {
        Value::Array(names) => names.iter().any(|name| one(name.as_str().unwrap())),
        name => one(name.as_str().unwrap()),
    }
}

pub(crate) fn check(schema: &str, value: &Value) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert!(
        schema["required"].as_array().is_some_and(|names| names.len() > 4),
        "the schema says something"
    );
    assert_eq!(faults(&schema, value, "$"), Vec::<String>::new());
}

#[tokio::test]
async fn every_object_has_what_stripes_libraries_require() {
    let fixture = Fixture::start().await;
    let open = fixture.checkout().await;
    check(include_str!("shapes/checkout_session.json"), &open);
    let session = open["id"].as_str().unwrap();
    fixture
        .stripe
        .complete_checkout(session, "ada@example.com", Card::Works)
        .unwrap();
    let (_, done) = fixture.get(&format!("/v1/checkout/sessions/{session}")).await;
    check(include_str!("shapes/checkout_session.json"), &done);

    let get = async |path: String| fixture.get(&path).await.1;
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let customer = id(&done["customer"]);
    check(
        include_str!("shapes/customer.json"),
        &get(format!("/v1/customers/{customer}")).await,
    );
    let subscription = get(format!("/v1/subscriptions/{}", id(&done["subscription"]))).await;
    check(include_str!("shapes/subscription.json"), &subscription);
    check(
        include_str!("shapes/invoice.json"),
        &get(format!("/v1/invoices/{}", id(&done["invoice"]))).await,
    );
    check(
        include_str!("shapes/price.json"),
        &get(format!("/v1/prices/{MONTHLY}")).await,
    );
    let product = get("/v1/products".to_owned()).await["data"][0].clone();
    check(include_str!("shapes/product.json"), &product);
    let charge = get("/v1/charges".to_owned()).await["data"][0].clone();
    check(include_str!("shapes/charge.json"), &charge);
    let portal = fixture
        .ok("/v1/billing_portal/sessions", &[("customer", &customer)])
        .await;
    check(include_str!("shapes/portal_session.json"), &portal);
    let events = get("/v1/events?type=customer.subscription.updated".to_owned()).await;
    check(include_str!("shapes/event.json"), &events["data"][0]);
}

#[tokio::test]
async fn every_status_of_a_subscription_keeps_the_shape() {
    use rolecall_sandbox::stripe::story::Action;
    let fixture = Fixture::start().await;
    let seed = || {
        fixture
            .stripe
            .seed_subscription("a@example.com", Card::Works, MONTHLY, 1, Metadata::new())
    };
    for action in [
        Action::FailPayment,
        Action::PauseCollection,
        Action::Pause,
        Action::MarkUnpaid,
        Action::Cancel,
    ] {
        let id = seed().unwrap();
        fixture.stripe.act(&id, &action).unwrap();
        let subscription = fixture.stripe.object(&id).unwrap();
        check(include_str!("shapes/subscription.json"), &subscription);
        let invoice = fixture
            .stripe
            .object(subscription["latest_invoice"].as_str().unwrap())
            .unwrap();
        check(include_str!("shapes/invoice.json"), &invoice);
    }
}

#[test]
fn the_check_finds_faults() {
    let schema = serde_json::json!({ "type": "object", "required": ["a"], "properties": {
        "a": { "type": ["string", "null"] }, "b": { "type": "array", "items": { "enum": [1] } },
    } });
    let check = |value: Value| faults(&schema, &value, "$").len();
    assert_eq!(check(serde_json::json!({ "a": null, "b": [1] })), 0);
    assert_eq!(check(serde_json::json!({ "b": [2] })), 2);
    assert_eq!(check(serde_json::json!({ "a": 1 })), 1);
}
