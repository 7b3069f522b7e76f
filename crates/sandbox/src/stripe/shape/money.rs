//! Invoices, charges, refunds and cards.

use serde_json::{Value, json};

use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::customer::PaymentMethod;
use crate::stripe::world::invoice::{Invoice, InvoiceStatus, Line};
use crate::stripe::world::payment::{Charge, Refund};

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
    let total = invoice.total();
    let mut object = fixed_fields();
    let fields = json!({
        "id": invoice.id,
        "amount_due": invoice.amount_due(),
        "amount_paid": invoice.amount_paid,
        "amount_remaining": invoice.amount_due() - invoice.amount_paid,
        "attempt_count": invoice.attempt_count,
        "attempted": invoice.attempt_count > 0,
        "auto_advance": invoice.status == InvoiceStatus::Open && invoice.next_payment_attempt.is_some(),
        "billing_reason": invoice.billing_reason,
        "created": invoice.created,
        "currency": invoice.currency,
        "customer": invoice.customer,
        "customer_email": customer.and_then(|customer| customer.email.clone()),
        "customer_name": customer.and_then(|customer| customer.name.clone()),
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
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
        "webhooks_delivered_at": invoice.finalized_at,
    });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    object
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
        "automatic_tax": {
            "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null,
        },
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
        "discounts": [],
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
        "test_clock": null,
        "total_discount_amounts": [],
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
    })
}

fn line(world: &World, invoice: &Invoice, line: &Line) -> Value {
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
        "discount_amounts": [],
        "discountable": !line.proration,
        "discounts": [],
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
    let data: Vec<Value> = invoice
        .payment_intent
        .iter()
        .map(|intent| {
            json!({
                "id": format!("inpay_{}", intent.trim_start_matches("pi_")),
                "object": "invoice_payment",
                "amount_paid": invoice.paid_at.map(|_| invoice.amount_paid),
                "amount_requested": invoice.amount_due(),
                "created": invoice.created,
                "currency": invoice.currency,
                "invoice": invoice.id,
                "is_default": true,
                "livemode": world.livemode,
                "payment": { "payment_intent": intent, "type": "payment_intent" },
                "status": if invoice.paid_at.is_some() { "paid" } else { "open" },
                "status_transitions": { "canceled_at": null, "paid_at": invoice.paid_at },
            })
        })
        .collect();
    shape::list(&format!("/v1/invoices/{}/payments", invoice.id), &data)
}

/// A charge.
pub(crate) fn charge(world: &World, charge: &Charge) -> Value {
    let failure = (!charge.succeeded).then_some("card_declined");
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": if charge.succeeded { charge.amount } else { 0 },
        "amount_refunded": charge.amount_refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "calculated_statement_descriptor": null,
        "captured": charge.succeeded,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": null,
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": failure,
        "failure_message": failure.map(|_| "Your card was declined."),
        "fraud_details": {},
        "livemode": world.livemode,
        "metadata": charge.metadata,
        "on_behalf_of": null,
        "outcome": null,
        "paid": charge.succeeded,
        "payment_intent": charge.payment_intent,
        "payment_method": charge.payment_method,
        "payment_method_details": null,
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": charge.succeeded && charge.amount_refunded == charge.amount,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": if charge.succeeded { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// A refund.
pub(crate) fn refund(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "customer": null,
        "customer_account": null,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent,
        "payment_method": null,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}

/// A card on file.
pub(crate) fn payment_method(world: &World, method: &PaymentMethod) -> Value {
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "card": {
            "brand": "visa",
            "checks": null,
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": method.fingerprint,
            "funding": "credit",
            "generated_from": null,
            "last4": method.card.last4(),
            "networks": { "available": ["visa"], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": method.created,
        "customer": method.customer,
        "customer_account": null,
        "livemode": world.livemode,
        "metadata": {},
        "type": "card",
    })
}
