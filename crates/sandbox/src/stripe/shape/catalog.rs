//! Products and prices.

use serde_json::{Value, json};

use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::catalog::{Price, Product, Recurring};

/// A product; a deleted one is only a trace.
pub(crate) fn product(world: &World, product: &Product) -> Value {
    if product.deleted {
        return shape::deleted("product", product);
    }
    json!({
        "id": product.id,
        "object": "product",
        "active": product.active,
        "created": product.created,
        "default_price": null,
        "description": product.description,
        "images": [],
        "livemode": world.livemode,
        "marketing_features": [],
        "metadata": product.metadata,
        "name": product.name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "tax_details": null,
        "type": "service",
        "unit_label": null,
        "updated": product.updated,
        "url": null,
    })
}

/// A price.
pub(crate) fn price(world: &World, price: &Price) -> Value {
    json!({
        "id": price.id,
        "object": "price",
        "active": price.active,
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": price.currency,
        "custom_unit_amount": null,
        "livemode": world.livemode,
        "lookup_key": price.lookup_key,
        "metadata": price.metadata,
        "nickname": price.nickname,
        "product": price.product,
        "recurring": price.recurring.map(recurring),
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if price.recurring.is_some() { "recurring" } else { "one_time" },
        "unit_amount": price.unit_amount,
        "unit_amount_decimal": price.unit_amount.to_string(),
    })
}

fn recurring(recurring: Recurring) -> Value {
    json!({
        "interval": recurring.interval.name(),
        "interval_count": recurring.count,
        "meter": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}

/// The older name of a recurring price, which items still carry.
pub(crate) fn plan(world: &World, price: &Price) -> Value {
    let recurring = price.recurring.map(recurring).unwrap_or_default();
    json!({
        "id": price.id,
        "object": "plan",
        "active": price.active,
        "amount": price.unit_amount,
        "amount_decimal": price.unit_amount.to_string(),
        "billing_scheme": "per_unit",
        "created": price.created,
        "currency": price.currency,
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "livemode": world.livemode,
        "metadata": price.metadata,
        "meter": null,
        "nickname": price.nickname,
        "product": price.product,
        "tiers_mode": null,
        "transform_usage": null,
        "trial_period_days": null,
        "usage_type": "licensed",
    })
}
