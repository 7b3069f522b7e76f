//! Customers, subscriptions and their items.

use serde_json::{Map, Value, json};

use crate::stripe::shape::{self, legacy};
use crate::stripe::world::World;
use crate::stripe::world::customer::Customer;
use crate::stripe::world::invoice::InvoiceStatus;
use crate::stripe::world::subscription::{Item, Status, Subscription};

/// How many of its items a subscription carries; the others are listed on their own.
const ITEMS_WITHIN: usize = 10;

/// A customer; a deleted one is only a trace.
pub(crate) fn customer(world: &World, customer: &Customer) -> Value {
    if customer.deleted {
        return shape::deleted("customer", customer);
    }
    let mut invoices = world.invoices.of(&customer.id);
    let owes = invoices.any(|invoice| invoice.status == InvoiceStatus::Open && invoice.attempt_count > 0);
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
        "test_clock": customer.test_clock,
    })
}

/// A subscription.
pub(crate) fn subscription(world: &World, subscription: &Subscription) -> Value {
    let discount = subscription.discounts.first();
    let discount = discount.and_then(|id| world.discounts.get(id));
    let mut object = fixed_fields();
    let fields = json!({
        "id": subscription.id,
        "automatic_tax": {
            "disabled_reason": null,
            "enabled": subscription.automatic_tax,
            "liability": subscription.automatic_tax.then(|| json!({ "type": "self" })),
        },
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
        "discounts": subscription.discounts,
        "ended_at": subscription.ended_at,
        "items": items(world, subscription),
        "latest_invoice": subscription.latest_invoice,
        "livemode": world.livemode,
        "metadata": subscription.metadata,
        "pause_collection": subscription.pause_collection.map(|pause| json!({
            "behavior": pause.behavior.name(),
            "resumes_at": pause.resumes_at,
        })),
        "pending_update": pending_update(world, subscription),
        "start_date": subscription.trial.map_or(subscription.created, |(start, _)| start),
        "status": subscription.status.name(),
        "test_clock": world.clock_behind(&subscription.customer),
        "trial_end": subscription.trial.map(|(_, end)| end),
        "trial_settings": { "end_behavior": {
            "billing_cycle_anchor": null,
            "missing_payment_method": subscription.missing_payment_method.name(),
        } },
        "trial_start": subscription.trial.map(|(start, _)| start),
        legacy::ONLY: { "discount": discount.map(|discount| shape::discount(world, discount)) },
    });
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    if let (Status::Paused, Some(paused)) = (subscription.status, &subscription.paused) {
        let details = json!({ "paused": {
            "subscription": { "type": paused.reason.name() },
            "transitioned_at": paused.since,
            "type": "subscription",
        } });
        object.insert("status_details".to_owned(), details);
    }
    Value::Object(object)
}

fn items(world: &World, subscription: &Subscription) -> Value {
    let within = subscription.items.iter().take(ITEMS_WITHIN);
    let within: Vec<Value> = within.map(|row| item(world, &subscription.id, row)).collect();
    let url = format!("/v1/subscription_items?subscription={}", subscription.id);
    let mut list = shape::list(&url, &within);
    if let Some(map) = list.as_object_mut() {
        map.insert(
            "has_more".to_owned(),
            json!(subscription.items.len() > ITEMS_WITHIN),
        );
    }
    list
}

fn pending_update(world: &World, subscription: &Subscription) -> Option<Value> {
    let update = subscription.pending_update.as_ref()?;
    let items = update.items.iter().map(|row| item(world, &subscription.id, row));
    Some(json!({
        "billing_cycle_anchor": update.billing_cycle_anchor,
        "cancel_at_period_end": null,
        "discount": null,
        "discounts": null,
        "expires_at": update.expires_at,
        "metadata": null,
        "subscription_items": items.collect::<Vec<_>>(),
        "trial_end": null,
        "trial_from_plan": null,
    }))
}

/// What never differs, because the simulator has no more than one value for it.
fn fixed_fields() -> Map<String, Value> {
    let fields = json!({
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": { "proration_discounts": "included" }, "type": "flexible" },
        "billing_schedules": [],
        "billing_thresholds": null,
        "collection_method": "charge_automatically",
        "customer_account": null,
        "days_until_due": null,
        "default_source": null,
        "default_tax_rates": [],
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
        "schedule": null,
        "transfer_data": null,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// An item of a subscription.
pub(crate) fn item(world: &World, subscription: &str, item: &Item) -> Value {
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
        "plan": found.map(|found| shape::plan(world, found)),
        "price": found.map(|found| shape::price(world, found)),
        "quantity": item.quantity,
        "subscription": subscription,
        "tax_rates": [],
    })
}
