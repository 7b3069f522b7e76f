//! Refunds.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::payment::Refund;

const REASONS: [(&str, &str); 3] = [
    ("duplicate", "duplicate"),
    ("fraudulent", "fraudulent"),
    ("requested_by_customer", "requested_by_customer"),
];

/// `/v1/refunds...`
pub(crate) fn refunds(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create_refund(world, params),
        ("GET", []) => list_refunds(world, params),
        ("GET", [id]) => get_refund(world, id, params),
        ("POST", [id]) => update_refund(world, id, params),
        ("POST", [id, "cancel"]) => cancel_refund(world, id, params),
        _ => return None,
    })
}

fn create_refund(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[
        COMMON,
        &["charge", "payment_intent", "amount", "reason", "metadata.*"],
    ])?;
    let charge = match (params.text("charge"), params.text("payment_intent")) {
        (Some(charge), _) => world
            .charges
            .get(charge)
            .ok_or_else(|| Refusal::missing("charge", charge).param("charge"))?,
        (None, Some(intent)) => {
            let mut of_it = world
                .charges
                .newest()
                .filter(|row| row.payment_intent == intent && row.succeeded);
            let refusal = || Refusal::missing("payment_intent", intent).param("payment_intent");
            of_it.next().ok_or_else(refusal)?
        }
        (None, None) => {
            let message =
                "One of the following params should be provided for this request: payment_intent or charge.";
            return Err(Refusal::invalid(message));
        }
    };
    if !charge.succeeded {
        return Err(Refusal::invalid(format!(
            "Charge {} has not been captured.",
            charge.id
        )));
    }
    let charge = charge.id.clone();
    let reason = params.choice("reason", &REASONS)?.map(str::to_owned);
    let metadata = params.metadata("metadata")?;
    let id = world.refund(&charge, params.integer("amount")?, reason)?;
    if let Some(refund) = world.refunds.get_mut(&id) {
        refund.metadata = metadata;
    }
    get_refund(world, &id, &Params::default())
}

fn get_refund(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let refund = world
        .refunds
        .get(id)
        .ok_or_else(|| Refusal::not_found("refund", id))?;
    Ok(shape::refund(refund))
}

fn list_refunds(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["charge", "payment_intent"]])?;
    let keep = |row: &Refund| {
        params.text("charge").is_none_or(|id| row.charge == id)
            && params
                .text("payment_intent")
                .is_none_or(|id| row.payment_intent == id)
    };
    page(&world.refunds, params, "/v1/refunds", keep, shape::refund)
}

fn update_refund(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["metadata.*"]])?;
    get_refund(world, id, &Params::default())?;
    if let Some(refund) = world.refunds.get_mut(id) {
        params.merge_metadata("metadata", &mut refund.metadata)?;
    }
    get_refund(world, id, &Params::default())
}

fn cancel_refund(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    get_refund(world, id, &Params::default())?;
    world.cancel_refund(id)?;
    get_refund(world, id, &Params::default())
}
