//! Events of the last 30 days.

use std::collections::HashSet;

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::event::{DeliveryState, Event};

/// How long events can be listed.
const KEPT_FOR: i64 = 30 * 86_400;

/// `/v1/events...`
pub(crate) fn events(world: &World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        _ => return None,
    })
}

/// Whether an event can still be read, in the mode it belongs to.
fn kept(world: &World, event: &Event) -> bool {
    event.livemode == world.livemode && event.created > world.clock.wall().timestamp() - KEPT_FOR
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let event = world.events.get(id).filter(|event| kept(world, event));
    Ok(shape::event(
        world,
        event.ok_or_else(|| Refusal::not_found("event", id))?,
    ))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["type", "types.#", "delivery_success"]])?;
    let types = params.texts("types");
    if params.has("type") && params.has("types") {
        return Err(Refusal::invalid(
            "You may only specify one of these parameters: type, types.",
        ));
    }
    if types.len() > 20 {
        return Err(Refusal::invalid("Array types exceeded maximum 20 allowed elements.").param("types"));
    }
    let undelivered: HashSet<&str> = world
        .deliveries
        .iter()
        .filter(|delivery| delivery.state != DeliveryState::Delivered)
        .map(|delivery| delivery.event.as_str())
        .collect();
    let success = params.boolean("delivery_success")?;
    let keep = |row: &Event| {
        kept(world, row)
            && params.text("type").is_none_or(|pattern| fits(pattern, row.kind))
            && (types.is_empty() || types.iter().any(|name| name == row.kind))
            && success.is_none_or(|success| undelivered.contains(row.id.as_str()) != success)
    };
    page(&world.events, params, "/v1/events", keep, |row| {
        shape::event(world, row)
    })
}

/// `customer.*` takes a whole family.
fn fits(pattern: &str, kind: &str) -> bool {
    pattern
        .strip_suffix('*')
        .map_or(pattern == kind, |family| kind.starts_with(family))
}
