//! Test clocks.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::test_clock::TestClock;

/// `/v1/test_helpers/test_clocks...`
pub(crate) fn test_clocks(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    let ["test_clocks", path @ ..] = path else {
        return None;
    };
    if world.livemode {
        let message = "Test clocks exist in test mode only.";
        return Some(Err(Refusal::invalid(message)));
    }
    Some(match (method, path) {
        ("POST", []) => create(world, params),
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id, "advance"]) => advance(world, id, params),
        ("DELETE", [id]) => delete(world, id, params),
        _ => return None,
    })
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["frozen_time", "name"]])?;
    let frozen_time = frozen_time(params)?;
    let id = world.create_test_clock(frozen_time, params.owned("name"))?;
    get(world, &id, &Params::default())
}

fn frozen_time(params: &Params) -> Result<i64, Refusal> {
    let time = params.integer("frozen_time")?;
    time.ok_or_else(|| Refusal::required("frozen_time"))
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a TestClock, Refusal> {
    world
        .test_clock(id)
        .map_err(|_| Refusal::not_found("test clock", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::test_clock(world, found(world, id)?))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING])?;
    let url = "/v1/test_helpers/test_clocks";
    page(
        &world.test_clocks,
        params,
        url,
        |row| !row.deleted,
        |row| shape::test_clock(world, row),
    )
}

/// The answer tells of a clock on its way, as with Stripe; the next look finds it there.
fn advance(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["frozen_time"]])?;
    let to = frozen_time(params)?;
    found(world, id)?;
    world.begin_advance(id, to)?;
    let shown = get(world, id, &Params::default())?;
    if let Err(refusal) = world.finish_advance(id, to) {
        tracing::error!(%refusal, "something that fell due on a test clock could not happen");
    }
    Ok(shown)
}

fn delete(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    let shown = shape::deleted("test_helpers.test_clock", found(world, id)?);
    world.delete_test_clock(id)?;
    Ok(shown)
}
