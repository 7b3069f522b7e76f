//! Events and the endpoints they go to.

use serde_json::{Value, json};

use crate::stripe::config::API_VERSION;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::event::{DeliveryState, Endpoint, Event};

/// An event in the account's version.
pub(crate) fn event(world: &World, event: &Event) -> Value {
    let of_event = world
        .deliveries
        .iter()
        .rev()
        .filter(|delivery| delivery.event == event.id);
    let pending = of_event
        .filter(|delivery| delivery.state != DeliveryState::Delivered)
        .count();
    shape::shown(with_pending(event, pending))
}

/// An event as one endpoint gets it, in the endpoint's version.
pub(crate) fn event_for(event: &Event, endpoint: &Endpoint) -> Value {
    let mut value = with_pending(event, 1);
    let version = endpoint.api_version.as_deref().unwrap_or(API_VERSION);
    shape::for_version(&mut value, version);
    if let Some(map) = value.as_object_mut() {
        map.insert("api_version".to_owned(), json!(version));
    }
    value
}

fn with_pending(event: &Event, pending: usize) -> Value {
    // What was written as JSON reads as JSON.
    let object: Value = serde_json::from_str(&event.object).unwrap_or_default();
    let mut data = json!({ "object": object });
    if let (Some(map), Some(previous)) = (data.as_object_mut(), &event.previous) {
        map.insert("previous_attributes".to_owned(), previous.clone());
    }
    json!({
        "id": event.id,
        "object": "event",
        "api_version": API_VERSION,
        "created": event.created,
        "data": data,
        "livemode": event.livemode,
        "pending_webhooks": pending,
        "request": { "id": event.cause.request, "idempotency_key": event.cause.idempotency_key },
        "type": event.kind,
    })
}

/// An endpoint; its secret is told only once, at its creation.
pub(crate) fn endpoint(world: &World, endpoint: &Endpoint, secret: Option<&str>) -> Value {
    let mut value = json!({
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": null,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": endpoint.enabled_events,
        "livemode": world.livemode,
        "metadata": endpoint.metadata,
        "status": if endpoint.disabled { "disabled" } else { "enabled" },
        "url": endpoint.url,
    });
    if let (Some(map), Some(secret)) = (value.as_object_mut(), secret) {
        map.insert("secret".to_owned(), json!(secret));
    }
    value
}
