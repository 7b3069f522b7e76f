//! Portal sessions.

use serde_json::Value;

use crate::stripe::api::buying::url;
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::session::PortalSession;

/// `/v1/billing_portal/sessions`
pub(crate) fn portal_sessions(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    match (method, path) {
        ("POST", ["sessions"]) => Some(create_portal(world, params)),
        _ => None,
    }
}

fn create_portal(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["customer", "return_url", "locale"]])?;
    let customer = params.required("customer")?;
    world
        .customer(customer)
        .map_err(|refusal| refusal.param("customer"))?;
    let session = PortalSession {
        id: world.ids.portal(),
        customer: customer.to_owned(),
        return_url: url(params, "return_url")?,
        locale: params.owned("locale"),
        created: world.now(),
    };
    let shown = shape::portal(world, &session);
    world.portals.insert(session);
    Ok(shown)
}
