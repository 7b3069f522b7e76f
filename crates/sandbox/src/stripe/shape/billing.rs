//! Customers, products, prices and subscriptions.

use serde_json::{Map, Value, json};

use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::catalog::{Price, Product, Recurring};
use crate::stripe::world::customer::Customer;
use crate::stripe::world::invoice::InvoiceStatus;
use crate::stripe::world::subscription::{Item, Status, Subscription};

/// A product.
pub(crate) fn product(world: &World, product: &Product) -> Value {
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
fn plan(world: &World, price: &Price) -> Value {
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

/// A customer; a deleted one is only a trace.
pub(crate) fn customer(world: &World, customer: &Customer) -> Value {
    if customer.deleted {
        return shape::deleted("customer", customer);
    }
    let owes = world.invoices.rows().iter().any(|invoice| {
        invoice.status == InvoiceStatus::Open && invoice.attempt_count > 0 && invoice.customer == customer.id
    });
    json!({
        "id": customer.id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": customer.created,
        "currency": customer.currency,
        "customer_account": null,
        "default_source": null,
        "delinquent": owes,
        "description": customer.description,
        "discount": null,
        "email": customer.email,
        "invoice_prefix": customer.invoice_prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": customer.card,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": world.livemode,
        "metadata": customer.metadata,
        "name": customer.name,
        "next_invoice_sequence": customer.next_invoice_sequence,
        "phone": customer.phone,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

/// A subscription.
pub(crate) fn subscription(world: &World, subscription: &Subscription) -> Value {
    let items: Vec<Value> = subscription
        .items
        .iter()
        .map(|row| item(world, &subscription.id, row))
        .collect();
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    let mut object = fixed_fields();
    let fields = json!({
        "id": subscription.id,
        "billing_cycle_anchor": subscription.billing_cycle_anchor,
        "cancel_at": subscription.cancel_at,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "canceled_at": subscription.canceled_at,
        "cancellation_details": {
            "comment": subscription.cancellation.comment,
            "feedback": subscription.cancellation.feedback,
            "feedback_option": null,
            "reason": subscription.cancellation.reason,
        },
        "created": subscription.created,
        "currency": subscription.currency,
        "customer": subscription.customer,
        "default_payment_method": subscription.payment_method,
        "description": subscription.description,
        "ended_at": subscription.ended_at,
        "items": shape::list(&url, &items),
        "latest_invoice": subscription.latest_invoice,
        "livemode": world.livemode,
        "metadata": subscription.metadata,
        "pause_collection": subscription.pause_collection.map(|pause| json!({
            "behavior": pause.behavior.name(),
            "resumes_at": pause.resumes_at,
        })),
        "start_date": subscription.trial.map_or(subscription.created, |(start, _)| start),
        "status": subscription.status.name(),
        "trial_end": subscription.trial.map(|(_, end)| end),
        "trial_settings": { "end_behavior": {
            "billing_cycle_anchor": null,
            "missing_payment_method": subscription.missing_payment_method.name(),
        } },
        "trial_start": subscription.trial.map(|(start, _)| start),
    });
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    if let (Status::Paused, Some(paused)) = (subscription.status, subscription.paused) {
        let details = json!({ "paused": {
            "subscription": { "type": paused.reason.name() },
            "transitioned_at": paused.since,
            "type": "subscription",
        } });
        object.insert("status_details".to_owned(), details);
    }
    Value::Object(object)
}

/// What never differs, because the simulator has no more than one value for it.
fn fixed_fields() -> Map<String, Value> {
    let fields = json!({
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible" },
        "billing_schedules": [],
        "billing_thresholds": null,
        "collection_method": "charge_automatically",
        "customer_account": null,
        "days_until_due": null,
        "default_source": null,
        "default_tax_rates": [],
        "discounts": [],
        "invoice_settings": {
            "account_tax_ids": null,
            "custom_fields": null,
            "description": null,
            "footer": null,
            "issuer": { "type": "self" },
        },
        "managed_payments": { "enabled": false },
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "payment_settings": {
            "payment_method_options": null,
            "payment_method_types": null,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "test_clock": null,
        "transfer_data": null,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn item(world: &World, subscription: &str, item: &Item) -> Value {
    let found = world.prices.get(&item.price);
    json!({
        "id": item.id,
        "object": "subscription_item",
        "billing_thresholds": null,
        "created": item.created,
        "current_period_end": item.period_end,
        "current_period_start": item.period_start,
        "current_trial": null,
        "discounts": [],
        "metadata": item.metadata,
        "plan": found.map(|found| plan(world, found)),
        "price": found.map(|found| price(world, found)),
        "quantity": item.quantity,
        "subscription": subscription,
        "tax_rates": [],
    })
}
