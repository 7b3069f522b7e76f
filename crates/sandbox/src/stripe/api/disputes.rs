//! Disputes and early fraud warnings.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::dispute::{Dispute, DisputeStatus, FraudWarning};

/// `/v1/disputes...`
pub(crate) fn disputes(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("POST", [id, "close"]) => close(world, id, params),
        _ => return None,
    })
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a Dispute, Refusal> {
    world
        .disputes
        .get(id)
        .ok_or_else(|| Refusal::not_found("dispute", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::dispute(world, found(world, id)?))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["charge", "payment_intent"]])?;
    let keep = |row: &Dispute| {
        params.text("charge").is_none_or(|id| row.charge == id)
            && params
                .text("payment_intent")
                .is_none_or(|id| row.payment_intent == id)
    };
    page(&world.disputes, params, "/v1/disputes", keep, |row| {
        shape::dispute(world, row)
    })
}

/// Evidence counts as sent unless `submit` is false. As in test mode, its text may decide at once.
fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["evidence.*", "submit"]])?;
    let status = found(world, id)?.status;
    if status.closed() {
        let message = "This dispute is already closed: evidence cannot be sent any more.";
        return Err(Refusal::invalid(message));
    }
    if params.has("evidence") && params.boolean("submit")?.unwrap_or(true) {
        world.submit_evidence(id)?;
        let (won, lost) = if status.warns() {
            (DisputeStatus::WarningClosed, DisputeStatus::Lost)
        } else {
            (DisputeStatus::Won, DisputeStatus::Lost)
        };
        match params.text("evidence.uncategorized_text") {
            Some("winning_evidence") => world.move_dispute(id, won)?,
            Some("losing_evidence") => world.move_dispute(id, lost)?,
            _ => {}
        }
    }
    get(world, id, &Params::default())
}

/// The owner gives in.
fn close(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let to = if found(world, id)?.status.warns() {
        DisputeStatus::WarningClosed
    } else {
        DisputeStatus::Lost
    };
    world.move_dispute(id, to)?;
    get(world, id, &Params::default())
}

/// `/v1/radar/early_fraud_warnings...`
pub(crate) fn fraud_warnings(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    let ["early_fraud_warnings", path @ ..] = path else {
        return None;
    };
    Some(match (method, path) {
        ("GET", []) => list_warnings(world, params),
        ("GET", [id]) => get_warning(world, id, params),
        _ => return None,
    })
}

fn get_warning(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let warning = world.fraud_warnings.get(id);
    let warning = warning.ok_or_else(|| Refusal::not_found("early_fraud_warning", id))?;
    Ok(shape::fraud_warning(world, warning))
}

fn list_warnings(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["charge", "payment_intent"]])?;
    let keep = |row: &FraudWarning| {
        params.text("charge").is_none_or(|id| row.charge == id)
            && params
                .text("payment_intent")
                .is_none_or(|id| row.payment_intent == id)
    };
    let url = "/v1/radar/early_fraud_warnings";
    page(&world.fraud_warnings, params, url, keep, |row| {
        shape::fraud_warning(world, row)
    })
}
