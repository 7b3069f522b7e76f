//! Invoices, their lines and payments.

use serde_json::{Value, json};

use crate::stripe::shape::{self, legacy};
use crate::stripe::world::World;
use crate::stripe::world::invoice::{Invoice, InvoiceStatus, Line};
use crate::stripe::world::payment::IntentStatus;

/// An invoice.
pub(crate) fn invoice(world: &World, invoice: &Invoice) -> Value {
    let lines: Vec<Value> = invoice
        .lines
        .iter()
        .map(|row| line(world, invoice, row))
        .collect();
    let customer = world.customers.get(&invoice.customer);
    let final_url = invoice
        .finalized_at
        .map(|_| format!("{}/i/{}", world.origin, invoice.id));
    let (subtotal, total) = (invoice.subtotal(), invoice.total());
    let discounts = discount_amounts(invoice);
    let first_discount = discounts.first().and_then(|(id, _)| world.discounts.get(id));
    let mut object = fixed_fields();
    let fields = json!({
        "id": invoice.id,
        "amount_due": invoice.amount_due(),
        "amount_paid": invoice.amount_paid,
        "amount_remaining": invoice.amount_due() - invoice.amount_paid,
        "attempt_count": invoice.attempt_count,
        "attempted": invoice.attempt_count > 0 || processing(world, invoice),
        "auto_advance": invoice.status == InvoiceStatus::Open && invoice.next_payment_attempt.is_some(),
        "automatic_tax": {
            "disabled_reason": null,
            "enabled": invoice.automatic_tax,
            "liability": invoice.automatic_tax.then(|| json!({ "type": "self" })),
            "provider": invoice.automatic_tax.then_some("stripe"),
            "status": invoice.automatic_tax.then_some("complete"),
        },
        "billing_reason": invoice.billing_reason,
        "created": invoice.created,
        "currency": invoice.currency,
        "customer": invoice.customer,
        "customer_email": customer.and_then(|customer| customer.email.clone()),
        "customer_name": customer.and_then(|customer| customer.name.clone()),
        "discounts": discounts.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        "effective_at": invoice.finalized_at,
        "ending_balance": invoice.finalized_at.map(|_| 0),
        "hosted_invoice_url": final_url,
        "invoice_pdf": final_url.as_ref().map(|url| format!("{url}/pdf")),
        "lines": shape::list(&format!("/v1/invoices/{}/lines", invoice.id), &lines),
        "livemode": world.livemode,
        "metadata": invoice.metadata,
        "next_payment_attempt": invoice.next_payment_attempt,
        "number": invoice.number,
        "parent": parent(invoice),
        "period_end": invoice.period.1,
        "period_start": invoice.period.0,
        "status": invoice.status.name(),
        "status_transitions": {
            "finalized_at": invoice.finalized_at,
            "marked_uncollectible_at": invoice.uncollectible_at,
            "paid_at": invoice.paid_at,
            "voided_at": invoice.voided_at,
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "test_clock": customer.and_then(|customer| customer.test_clock.clone()),
        "total": total,
        "total_discount_amounts": told(&discounts),
        "total_excluding_tax": total,
        "webhooks_delivered_at": invoice.finalized_at,
        legacy::ONLY: {
            "charge": invoice.charge,
            "discount": first_discount.map(|discount| shape::discount(world, discount)),
            "payment_intent": invoice.payment_intent,
        },
    });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    object
}

/// What each discount takes off all lines together, in the order of their use.
fn discount_amounts(invoice: &Invoice) -> Vec<(String, i64)> {
    let mut sums: Vec<(String, i64)> = Vec::new();
    for (id, off) in invoice.lines.iter().flat_map(|line| &line.discounts) {
        match sums.iter_mut().find(|(known, _)| known == id) {
            Some((_, sum)) => *sum += off,
            None => sums.push((id.clone(), *off)),
        }
    }
    sums
}

fn told(discounts: &[(String, i64)]) -> Vec<Value> {
    discounts
        .iter()
        .map(|(id, amount)| json!({ "amount": amount, "discount": id }))
        .collect()
}

fn processing(world: &World, invoice: &Invoice) -> bool {
    let intent = invoice.payment_intent.as_ref();
    let intent = intent.and_then(|id| world.payment_intents.get(id));
    intent.is_some_and(|intent| intent.status == IntentStatus::Processing)
}

fn parent(invoice: &Invoice) -> Value {
    let Some(subscription) = &invoice.subscription else {
        return Value::Null;
    };
    json!({
        "quote_details": null,
        "subscription_details": {
            "metadata": invoice.subscription_metadata,
            "subscription": subscription,
        },
        "type": "subscription_details",
    })
}

fn fixed_fields() -> Value {
    json!({
        "object": "invoice",
        "account_country": "US",
        "account_name": "Simulated Stripe account",
        "account_tax_ids": null,
        "amount_overpaid": 0,
        "amount_shipping": 0,
        "application": null,
        "automatically_finalizes_at": null,
        "collection_method": "charge_automatically",
        "custom_fields": null,
        "customer_account": null,
        "customer_address": null,
        "customer_phone": null,
        "customer_shipping": null,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "due_date": null,
        "footer": null,
        "from_invoice": null,
        "issuer": { "type": "self" },
        "last_finalization_error": null,
        "latest_revision": null,
        "on_behalf_of": null,
        "payment_settings": {
            "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
        },
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": 0,
        "statement_descriptor": null,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    })
}

/// One position of an invoice.
pub(crate) fn line(world: &World, invoice: &Invoice, line: &Line) -> Value {
    let price = world.prices.get(&line.price);
    let parent = line.item.as_ref().map(|item| {
        json!({
            "invoice_item_details": null,
            "subscription_item_details": {
                "invoice_item": null,
                "proration": line.proration,
                "proration_details": { "credited_items": null },
                "subscription": invoice.subscription,
                "subscription_item": item,
            },
            "type": "subscription_item_details",
        })
    });
    json!({
        "id": line.id,
        "object": "line_item",
        "amount": line.amount,
        "currency": invoice.currency,
        "description": line.description,
        "discount_amounts": told(&line.discounts),
        "discountable": !line.proration,
        "discounts": line.discounts.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        "invoice": invoice.id,
        "livemode": world.livemode,
        "metadata": {},
        "parent": parent,
        "period": { "end": line.period.1, "start": line.period.0 },
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": { "price": line.price, "product": price.map(|price| price.product.clone()) },
            "type": "price_details",
            "unit_amount_decimal": price.map(|price| price.unit_amount.to_string()),
        },
        "quantity": line.quantity,
        "quantity_decimal": line.quantity.to_string(),
        "subscription": invoice.subscription,
        "subtotal": line.amount,
        "taxes": [],
    })
}

/// The payments of an invoice, which it carries only when they are asked for.
pub(crate) fn invoice_payments(world: &World, invoice: &Invoice) -> Value {
    let data: Vec<Value> = invoice_payment(world, invoice).into_iter().collect();
    shape::list(&format!("/v1/invoices/{}/payments", invoice.id), &data)
}

/// The payment of an invoice; none where nothing is owed.
pub(crate) fn invoice_payment(world: &World, invoice: &Invoice) -> Option<Value> {
    let intent = invoice.payment_intent.as_ref()?;
    let canceled_at = world
        .payment_intents
        .get(intent)
        .and_then(|intent| intent.canceled_at);
    let status = match (invoice.paid_at, canceled_at) {
        (Some(_), _) => "paid",
        (None, Some(_)) => "canceled",
        (None, None) => "open",
    };
    Some(json!({
        "id": format!("inpay_{}", intent.trim_start_matches("pi_")),
        "object": "invoice_payment",
        "amount_paid": invoice.paid_at.map(|_| invoice.amount_paid),
        "amount_requested": invoice.amount_due(),
        "created": invoice.finalized_at.unwrap_or(invoice.created),
        "currency": invoice.currency,
        "invoice": invoice.id,
        "is_default": true,
        "livemode": world.livemode,
        "payment": { "payment_intent": intent, "type": "payment_intent" },
        "status": status,
        "status_transitions": { "canceled_at": canceled_at, "paid_at": invoice.paid_at },
    }))
}
