//! Objects as JSON, in the shapes of the account's API version; older shapes are made from these.

mod billing;
mod buying;
mod catalog;
mod clock;
mod discount;
mod dispute;
mod event;
mod invoice;
mod legacy;
mod money;
mod previous;

use serde_json::{Value, json};

pub(crate) use billing::{customer, item, subscription};
pub(crate) use buying::{checkout, checkout_lines, portal};
pub(crate) use catalog::{plan, price, product};
pub(crate) use clock::test_clock;
pub(crate) use discount::{checkout_discounts, coupon, discount, promotion_code};
pub(crate) use dispute::{dispute, fraud_warning};
pub(crate) use event::{endpoint, event, event_for};
pub(crate) use invoice::{invoice, invoice_payment, invoice_payments, line};
pub(crate) use legacy::{ONLY as LEGACY_ONLY, for_version, is_legacy};
pub(crate) use money::{charge, payment_intent, payment_method, refund};
pub(crate) use previous::previous_attributes;

use crate::stripe::config::API_VERSION;
use crate::stripe::world::{Row, World};

/// A whole list in one page.
pub(crate) fn list(url: &str, data: &[Value]) -> Value {
    json!({ "object": "list", "data": data, "has_more": false, "url": url })
}

/// A value in the account's version, without what only older versions carry.
pub(crate) fn shown(mut value: Value) -> Value {
    for_version(&mut value, API_VERSION);
    value
}

/// Any object by its id, as expansion needs it.
pub(crate) fn by_id(world: &World, id: &str) -> Option<Value> {
    let found = world.customers.get(id).map(|found| customer(world, found));
    found
        .or_else(|| {
            world
                .subscriptions
                .get(id)
                .map(|found| subscription(world, found))
        })
        .or_else(|| world.invoices.get(id).map(|found| invoice(world, found)))
        .or_else(|| world.products.get(id).map(|found| product(world, found)))
        .or_else(|| world.prices.get(id).map(|found| price(world, found)))
        .or_else(|| {
            world
                .payment_methods
                .get(id)
                .map(|found| payment_method(world, found))
        })
        .or_else(|| {
            world
                .payment_intents
                .get(id)
                .map(|found| payment_intent(world, found))
        })
        .or_else(|| world.charges.get(id).map(|found| charge(world, found)))
        .or_else(|| world.refunds.get(id).map(refund))
        .or_else(|| world.disputes.get(id).map(|found| dispute(world, found)))
        .or_else(|| world.checkouts.get(id).map(|found| checkout(world, found)))
        .or_else(|| world.discounts.get(id).map(|found| discount(world, found)))
        .or_else(|| {
            world
                .promotion_codes
                .get(id)
                .map(|found| promotion_code(world, found))
        })
        .or_else(|| world.test_clocks.get(id).map(|found| test_clock(world, found)))
        .or_else(|| world.coupons.get(id).map(|found| coupon(world, found)))
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
