//! Payment intents, and the payments of invoices.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::invoice::Invoice;
use crate::stripe::world::payment::{IntentStatus, PaymentIntent};

/// `/v1/payment_intents...`
pub(crate) fn payment_intents(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list_intents(world, params),
        ("GET", [id]) => get_intent(world, id, params),
        ("POST", [id, "cancel"]) => cancel_intent(world, id, params),
        _ => return None,
    })
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a PaymentIntent, Refusal> {
    world
        .payment_intents
        .get(id)
        .ok_or_else(|| Refusal::not_found("payment_intent", id))
}

fn get_intent(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::payment_intent(world, found(world, id)?))
}

fn list_intents(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["customer"]])?;
    let keep = |row: &PaymentIntent| {
        let customer = params.text("customer");
        customer.is_none_or(|id| row.customer.as_deref() == Some(id))
    };
    page(
        &world.payment_intents,
        params,
        "/v1/payment_intents",
        keep,
        |row| shape::payment_intent(world, row),
    )
}

fn cancel_intent(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["cancellation_reason"]])?;
    let intent = found(world, id)?;
    let refusal = match intent.status {
        _ if intent.invoice.is_some() => "You cannot cancel the payment of an invoice: void the invoice.",
        IntentStatus::Succeeded => {
            "You cannot cancel this PaymentIntent because it has a status of succeeded."
        }
        IntentStatus::Canceled => "You cannot cancel this PaymentIntent because it has a status of canceled.",
        _ => {
            world.cancel_intent(id)?;
            return get_intent(world, id, &Params::default());
        }
    };
    Err(Refusal::invalid(refusal).code("payment_intent_unexpected_state"))
}

/// `/v1/invoice_payments...`
pub(crate) fn invoice_payments(world: &World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list_payments(world, params),
        ("GET", [id]) => get_payment(world, id, params),
        _ => return None,
    })
}

fn get_payment(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let intent = id.strip_prefix("inpay_").map(|rest| format!("pi_{rest}"));
    let invoice = intent.and_then(|id| world.payment_intents.get(&id)?.invoice.as_ref());
    let invoice = invoice.and_then(|id| world.invoices.get(id));
    let payment = invoice.and_then(|invoice| shape::invoice_payment(world, invoice));
    payment.ok_or_else(|| Refusal::not_found("invoice_payment", id))
}

fn list_payments(world: &World, params: &Params) -> Result<Value, Refusal> {
    let named = &["invoice", "status", "payment.type", "payment.payment_intent"];
    params.allow(&[PAGING, named])?;
    let kind = params.choice(
        "payment.type",
        &[("payment_intent", ()), ("charge", ()), ("payment_record", ())],
    )?;
    if params.has("payment") && kind.is_none() {
        return Err(Refusal::required("payment[type]"));
    }
    let intent = params.text("payment.payment_intent");
    if params.text("payment.type") == Some("payment_intent") && intent.is_none() {
        return Err(Refusal::required("payment[payment_intent]"));
    }
    let status = params.choice(
        "status",
        &[("canceled", "canceled"), ("open", "open"), ("paid", "paid")],
    )?;
    let keep = |row: &Invoice| {
        row.payment_intent.is_some()
            && params.text("invoice").is_none_or(|id| row.id == id)
            && intent.is_none_or(|id| row.payment_intent.as_deref() == Some(id))
            && params
                .text("payment.type")
                .is_none_or(|kind| kind == "payment_intent")
            && status.is_none_or(|status| {
                let payment = shape::invoice_payment(world, row);
                payment.is_some_and(|payment| payment.get("status") == Some(&Value::from(status)))
            })
    };
    let params = &params.with_cursors(|id| {
        let intent = format!("pi_{}", id.strip_prefix("inpay_")?);
        world.payment_intents.get(&intent)?.invoice.clone()
    });
    page(&world.invoices, params, "/v1/invoice_payments", keep, |row| {
        shape::invoice_payment(world, row).unwrap_or_default()
    })
}
