//! `expand[]`: ids within an answer are replaced by the objects that they name.

use serde_json::{Map, Value};

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;

/// Expands every path; four levels deep at most, as with Stripe.
pub fn expand(world: &World, answer: &mut Value, paths: &[String], legacy: bool) -> Result<(), Refusal> {
    for path in paths {
        let parts: Vec<&str> = path.split('.').collect();
        let deep = parts.iter().filter(|part| **part != "data").count();
        if deep > 4 {
            let message = format!("You cannot expand more than 4 levels of a property. Property: {path}");
            return Err(Refusal::invalid(message));
        }
        if !walk(world, answer, &parts, legacy) {
            let message = format!("This property cannot be expanded ({path}).");
            return Err(Refusal::invalid(message).param("expand"));
        }
    }
    Ok(())
}

/// Whether the path led anywhere; an empty list and a null lead there too.
fn walk(world: &World, value: &mut Value, path: &[&str], legacy: bool) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter_mut().all(|item| walk(world, item, path, legacy)),
        Value::Object(map) => {
            include(world, map, first);
            let only_older = legacy && !map.contains_key(*first);
            let inner = if only_older {
                map.get_mut(shape::LEGACY_ONLY)
                    .and_then(|only| only.get_mut(*first))
            } else {
                map.get_mut(*first)
            };
            inner.is_some_and(|inner| replace(world, inner) && walk(world, inner, rest, legacy))
        }
        _ => false,
    }
}

fn replace(world: &World, value: &mut Value) -> bool {
    if let Value::Array(items) = value {
        // A list of ids, such as `discounts`.
        for item in items.iter_mut().filter(|item| item.is_string()) {
            if !replace(world, item) {
                return false;
            }
        }
    }
    if let Value::String(id) = value {
        match shape::by_id(world, id) {
            Some(object) => *value = object,
            None => return false,
        }
    }
    !matches!(value, Value::Bool(_) | Value::Number(_))
}

/// What an object carries only when asked.
fn include(world: &World, map: &mut Map<String, Value>, name: &str) {
    let id = map.get("id").and_then(Value::as_str).unwrap_or_default();
    let included = match (map.get("object").and_then(Value::as_str), name) {
        (Some("checkout.session"), "line_items") => world
            .checkouts
            .get(id)
            .map(|session| shape::checkout_lines(world, session)),
        (Some("invoice"), "payments") => world
            .invoices
            .get(id)
            .map(|invoice| shape::invoice_payments(world, invoice)),
        (Some("charge"), "refunds") => {
            let of_it = world.refunds.newest().filter(|row| row.charge == id);
            let data: Vec<Value> = of_it.map(shape::refund).collect();
            Some(shape::list(&format!("/v1/charges/{id}/refunds"), &data))
        }
        (Some("customer"), "subscriptions") => {
            let theirs = world.subscriptions.of(id).rev().filter(|row| !row.over());
            let data: Vec<Value> = theirs.map(|row| shape::subscription(world, row)).collect();
            Some(shape::list(&format!("/v1/customers/{id}/subscriptions"), &data))
        }
        _ => None,
    };
    if let Some(included) = included {
        map.insert(name.to_owned(), included);
    }
}
