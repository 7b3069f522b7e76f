//! Objects as JSON, in the shapes of the account's API version; older shapes are made from these.

mod billing;
mod buying;
mod event;
mod legacy;
mod money;
mod previous;

use serde_json::{Value, json};

pub(crate) use billing::{customer, price, product, subscription};
pub(crate) use buying::{checkout, checkout_lines, portal};
pub(crate) use event::{endpoint, event, event_for};
pub(crate) use legacy::{for_version, is_legacy};
pub(crate) use money::{charge, invoice, invoice_payments, payment_method, refund};
pub(crate) use previous::previous_attributes;

use crate::stripe::world::{Row, World};

/// A whole list in one page.
pub(crate) fn list(url: &str, data: &[Value]) -> Value {
    json!({ "object": "list", "data": data, "has_more": false, "url": url })
}

/// Any object by its id, as expansion needs it.
pub(crate) fn by_id(world: &World, id: &str) -> Option<Value> {
    if let Some(found) = world.customers.get(id) {
        return Some(customer(world, found));
    }
    if let Some(found) = world.subscriptions.get(id) {
        return Some(subscription(world, found));
    }
    if let Some(found) = world.invoices.get(id) {
        return Some(invoice(world, found));
    }
    if let Some(found) = world.products.get(id) {
        return Some(product(world, found));
    }
    if let Some(found) = world.prices.get(id) {
        return Some(price(world, found));
    }
    if let Some(found) = world.payment_methods.get(id) {
        return Some(payment_method(world, found));
    }
    if let Some(found) = world.charges.get(id) {
        return Some(charge(world, found));
    }
    world.checkouts.get(id).map(|found| checkout(world, found))
}

/// The answer for an object that was deleted.
pub(crate) fn deleted<T: Row>(object: &str, row: &T) -> Value {
    json!({ "id": row.id(), "object": object, "deleted": true })
}

/// The account itself.
pub(crate) fn account() -> Value {
    json!({
        "id": "acct_1SandboxAccount00",
        "object": "account",
        "business_profile": { "name": "Simulated Stripe account", "url": null },
        "business_type": "company",
        "capabilities": { "card_payments": "active", "transfers": "active" },
        "charges_enabled": true,
        "country": "US",
        "created": 1_700_000_000,
        "default_currency": "usd",
        "details_submitted": true,
        "email": "owner@example.com",
        "metadata": {},
        "payouts_enabled": true,
        "settings": { "dashboard": { "display_name": "Simulated Stripe", "timezone": "Etc/UTC" } },
        "type": "standard",
    })
}
