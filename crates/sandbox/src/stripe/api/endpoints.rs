//! Webhook endpoints.

use serde_json::Value;
use url::Url;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served, gate};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::event::Endpoint;

/// `/v1/webhook_endpoints...`
pub(crate) fn endpoints(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create(world, params),
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("DELETE", [id]) => delete(world, id, params),
        _ => return None,
    })
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[
        COMMON,
        &[
            "url",
            "enabled_events.#",
            "api_version",
            "description",
            "metadata.*",
        ],
    ])?;
    let url = url(world, params.required("url")?)?;
    let enabled_events = enabled_events(params)?.ok_or_else(|| Refusal::required("enabled_events"))?;
    if let Some(version) = params.text("api_version") {
        gate::check_version(version).map_err(|refusal| refusal.param("api_version"))?;
    }
    let secret = world.ids.endpoint_secret();
    let endpoint = Endpoint {
        id: world.ids.endpoint(),
        url,
        secrets: vec![secret.clone()],
        enabled_events,
        api_version: params.owned("api_version"),
        description: params.owned("description"),
        metadata: params.metadata("metadata")?,
        disabled: false,
        deleted: false,
        created: world.now(),
    };
    let shown = shape::endpoint(world, &endpoint, Some(&secret));
    world.endpoints.insert(endpoint);
    Ok(shown)
}

/// Live mode wants https.
fn url(world: &World, text: &str) -> Result<String, Refusal> {
    let refusal = |message: &str| Err(Refusal::invalid(message).code("url_invalid").param("url"));
    match Url::parse(text) {
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && !world.livemode) => {
            Ok(text.to_owned())
        }
        Ok(url) if url.scheme() == "http" => refusal("Invalid URL: URLs must be https in live mode"),
        _ => refusal("Invalid URL: An explicit scheme (such as https) must be provided"),
    }
}

fn enabled_events(params: &Params) -> Result<Option<Vec<String>>, Refusal> {
    if !params.has("enabled_events") {
        return Ok(None);
    }
    let names = params.texts("enabled_events");
    for (place, name) in names.iter().enumerate() {
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b))
        };
        if name != "*" && !(name.contains('.') && name.split('.').all(word)) {
            let param = format!("enabled_events[{place}]");
            return Err(Refusal::invalid(format!("Invalid {param}: {name} is no event type")).param(param));
        }
    }
    Ok(Some(names).filter(|names| !names.is_empty()))
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a Endpoint, Refusal> {
    let endpoint = world.endpoints.get(id).filter(|endpoint| !endpoint.deleted);
    endpoint.ok_or_else(|| Refusal::not_found("webhook endpoint", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::endpoint(world, found(world, id)?, None))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING])?;
    let keep = |row: &Endpoint| !row.deleted;
    page(&world.endpoints, params, "/v1/webhook_endpoints", keep, |row| {
        shape::endpoint(world, row, None)
    })
}

fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[
        COMMON,
        &["url", "enabled_events.#", "disabled", "description", "metadata.*"],
    ])?;
    found(world, id)?;
    let url = params.text("url").map(|text| url(world, text)).transpose()?;
    let enabled_events = enabled_events(params)?;
    let disabled = params.boolean("disabled")?;
    if let Some(endpoint) = world.endpoints.get_mut(id) {
        endpoint.url = url.unwrap_or_else(|| endpoint.url.clone());
        endpoint.enabled_events = enabled_events.unwrap_or_else(|| endpoint.enabled_events.clone());
        endpoint.disabled = disabled.unwrap_or(endpoint.disabled);
        if params.has("description") {
            endpoint.description = params.owned("description");
        }
        params.merge_metadata("metadata", &mut endpoint.metadata)?;
    }
    get(world, id, &Params::default())
}

fn delete(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    let shown = shape::deleted("webhook_endpoint", found(world, id)?);
    if let Some(endpoint) = world.endpoints.get_mut(id) {
        endpoint.deleted = true;
    }
    Ok(shown)
}
