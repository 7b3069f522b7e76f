//! Things deleted in the dashboard, endpoints at fault, events of elsewhere, and many subscriptions at once.

use actix_web::web::{self, Data, Json, Path};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stripe::control::Reply;
use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::shape;

/// Sets up these controls.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/seed_many", web::post().to(seed_many))
        .route("/products/{id}", web::delete().to(delete_product))
        .route("/prices/{id}", web::delete().to(delete_price))
        .route("/prices/{id}", web::post().to(archive_price))
        .route("/customers/{id}", web::delete().to(delete_customer))
        .route("/endpoints/{id}", web::post().to(change_endpoint))
        .route("/foreign_subscription", web::post().to(foreign_subscription))
        .route("/events/{id}/other_mode", web::post().to(other_mode));
}

/// How many subscriptions to make, of which price.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    price: String,
    count: u32,
}

async fn seed_many(state: Data<State>, many: Json<Many>) -> Reply {
    let made = state
        .shared
        .with(|world| world.seed_many(&many.price, many.count))?;
    Ok(Json(json!({ "subscriptions": made })))
}

async fn delete_product(state: Data<State>, id: Path<String>) -> Reply {
    state.shared.with(|world| world.delete_product(&id))?;
    Ok(deleted(&id))
}

async fn delete_price(state: Data<State>, id: Path<String>) -> Reply {
    state.shared.with(|world| world.delete_price(&id))?;
    Ok(deleted(&id))
}

async fn delete_customer(state: Data<State>, id: Path<String>) -> Reply {
    state
        .shared
        .with(|world| world.in_time_behind(&id, |world| world.delete_customer(&id)))?;
    Ok(deleted(&id))
}

fn deleted(id: &str) -> Json<Value> {
    Json(json!({ "id": id, "deleted": true }))
}

/// Whether a price is out of what can be bought.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archived {
    archived: bool,
}

async fn archive_price(state: Data<State>, id: Path<String>, wish: Json<Archived>) -> Reply {
    state
        .shared
        .with(|world| world.archive_price(&id, wish.archived))?;
    Ok(Json(json!({ "id": *id, "archived": wish.archived })))
}

/// What is other about an endpoint from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointChange {
    #[serde(default)]
    disabled: Option<bool>,
    #[serde(default)]
    enabled_events: Option<Vec<String>>,
    #[serde(default)]
    api_version: Option<String>,
}

async fn change_endpoint(state: Data<State>, id: Path<String>, change: Json<EndpointChange>) -> Reply {
    let change = change.into_inner();
    state.shared.with(|world| {
        let found = world.endpoints.get_mut(&id);
        let row = found.ok_or_else(|| Refusal::not_found("webhook endpoint", &id))?;
        row.disabled = change.disabled.unwrap_or(row.disabled);
        if let Some(kinds) = change.enabled_events {
            row.enabled_events = kinds;
        }
        if change.api_version.is_some() {
            row.api_version = change.api_version;
        }
        let row = row.clone();
        Ok(Json(shape::endpoint(world, &row, None)))
    })
}

async fn foreign_subscription(state: Data<State>) -> Reply {
    let (event, subscription) = state
        .shared
        .with(crate::stripe::world::World::tell_of_foreign_subscription)?;
    Ok(Json(json!({ "event": event, "subscription": subscription })))
}

async fn other_mode(state: Data<State>, id: Path<String>) -> Reply {
    let copy = state.shared.with(|world| world.tell_in_other_mode(&id))?;
    Ok(Json(json!({ "event": copy })))
}
