//! The shapes from before API version 2025-03-31: the period stands on the subscription, and the
//! subscription on the invoice.

use serde_json::{Map, Value, json};

/// The first version with today's shapes.
const FIRST_NEW_VERSION: &str = "2025-03-31";

/// Whether a version has the older shapes. Versions begin with a date, so they compare as text.
pub(crate) fn is_legacy(version: &str) -> bool {
    version < FIRST_NEW_VERSION
}

/// The name under which objects carry what only older versions tell; it never leaves the simulator.
pub(crate) const ONLY: &str = "~legacy";

/// Turns every object within `value` into the version's shape.
pub(crate) fn for_version(value: &mut Value, version: &str) {
    convert(value, is_legacy(version));
}

fn convert(value: &mut Value, legacy: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| convert(item, legacy)),
        Value::Object(map) => {
            let only = map.remove(ONLY);
            if let (true, Some(Value::Object(only))) = (legacy, only) {
                map.extend(only);
            }
            map.values_mut().for_each(|item| convert(item, legacy));
            if !legacy {
                return;
            }
            match map.get("object").and_then(Value::as_str) {
                Some("subscription") => subscription(map),
                Some("invoice") => invoice(map),
                Some("line_item") => line(map),
                Some("discount") => {
                    map.remove("source");
                }
                Some("promotion_code") => {
                    map.remove("promotion");
                }
                _ => changed_items(map),
            }
        }
        _ => {}
    }
}

fn subscription(map: &mut Map<String, Value>) {
    hoist_period(map);
    for name in [
        "billing_mode",
        "billing_schedules",
        "managed_payments",
        "customer_account",
    ] {
        map.remove(name);
    }
    let first = map
        .get("items")
        .and_then(|items| items.pointer("/data/0"))
        .cloned()
        .unwrap_or_default();
    let single = map
        .get("items")
        .and_then(|items| items.get("data")?.as_array())
        .is_some_and(|d| d.len() == 1);
    let of_single = |name: &str| {
        if single {
            first.get(name).cloned().unwrap_or_default()
        } else {
            Value::Null
        }
    };
    map.insert("plan".to_owned(), of_single("plan"));
    map.insert("quantity".to_owned(), of_single("quantity"));
}

/// `previous_attributes` of a subscription has the items but not the word `subscription`.
fn changed_items(map: &mut Map<String, Value>) {
    let is_items =
        |items: &Value| items.pointer("/data/0/object").and_then(Value::as_str) == Some("subscription_item");
    if !map.contains_key("object") && map.get("items").is_some_and(is_items) {
        hoist_period(map);
    }
}

fn hoist_period(map: &mut Map<String, Value>) {
    let Some(items) = map
        .get_mut("items")
        .and_then(|items| items.get_mut("data")?.as_array_mut())
    else {
        return;
    };
    let mut taken = Vec::new();
    for item in items.iter_mut().filter_map(Value::as_object_mut) {
        for name in ["current_period_start", "current_period_end"] {
            if let Some(moment) = item.remove(name) {
                taken.push((name, moment));
            }
        }
    }
    for (name, moment) in taken {
        map.entry(name).or_insert(moment);
    }
}

fn invoice(map: &mut Map<String, Value>) {
    let parent = map.remove("parent").unwrap_or_default();
    let details = parent.get("subscription_details").cloned().unwrap_or_default();
    let subscription = details.get("subscription").cloned().unwrap_or_default();
    let paid = map.get("status").and_then(Value::as_str) == Some("paid");
    map.insert("subscription".to_owned(), subscription);
    map.insert(
        "subscription_details".to_owned(),
        json!({ "metadata": details.get("metadata") }),
    );
    map.insert("paid".to_owned(), json!(paid));
    map.insert("paid_out_of_band".to_owned(), json!(false));
    map.insert("tax".to_owned(), Value::Null);
    map.remove("amount_overpaid");
}

fn line(map: &mut Map<String, Value>) {
    let parent = map.remove("parent").unwrap_or_default();
    let details = parent
        .get("subscription_item_details")
        .cloned()
        .unwrap_or_default();
    let price = map
        .remove("pricing")
        .and_then(|pricing| pricing.pointer("/price_details/price").cloned());
    map.insert("type".to_owned(), json!("subscription"));
    map.insert(
        "proration".to_owned(),
        details.get("proration").cloned().unwrap_or(json!(false)),
    );
    map.insert(
        "subscription_item".to_owned(),
        details.get("subscription_item").cloned().unwrap_or_default(),
    );
    map.insert("price".to_owned(), json!({ "id": price, "object": "price" }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_has_the_period_on_the_subscription_and_not_on_its_items() {
        let mut value = json!({ "object": "subscription", "items": { "data": [
            { "object": "subscription_item", "current_period_start": 1, "current_period_end": 2,
                "quantity": 5 },
        ] } });
        for_version(&mut value, "2024-06-20");
        assert_eq!(value["current_period_end"], 2);
        assert_eq!(value["quantity"], 5);
        assert!(value["items"]["data"][0].get("current_period_end").is_none());
    }

    #[test]
    fn an_older_version_names_the_subscription_on_the_invoice() {
        let mut value = json!({ "object": "invoice", "status": "paid", "parent": {
            "type": "subscription_details",
            "subscription_details": { "subscription": "sub_1", "metadata": { "a": "b" } },
        } });
        for_version(&mut value, "2025-02-24.acacia");
        assert_eq!(value["subscription"], "sub_1");
        assert_eq!(value["subscription_details"]["metadata"]["a"], "b");
        assert_eq!(value["paid"], true);
        assert!(value.get("parent").is_none());
    }

    #[test]
    fn what_only_older_versions_tell_is_told_by_no_newer_one() {
        let told = |version: &str| {
            let mut value = json!({ "data": { "object": "charge", ONLY: { "invoice": "in_1" } } });
            for_version(&mut value, version);
            value["data"].clone()
        };
        assert_eq!(
            told("2024-06-20"),
            json!({ "object": "charge", "invoice": "in_1" })
        );
        assert_eq!(told("2026-09-30.endive"), json!({ "object": "charge" }));
    }

    #[test]
    fn the_first_new_version_is_left_as_it_is() {
        let mut value = json!({ "object": "invoice", "parent": null });
        for_version(&mut value, "2025-03-31.basil");
        assert!(value.get("subscription").is_none());
    }
}
