//! Events, the endpoints that want them, and their deliveries.

use serde::Serialize;
use serde_json::Value;

use crate::stripe::world::{Metadata, Row};

/// Something that happened, with the object as it was then.
#[derive(Clone, Debug)]
pub struct Event {
    /// `evt_...`
    pub id: String,
    /// Such as `customer.subscription.updated`.
    pub kind: &'static str,
    /// The object in the account's version, as text: ten thousand trees would fill the memory.
    pub object: Box<str>,
    /// The fields that changed, as they were before.
    pub previous: Option<Value>,
    /// The request that caused it.
    pub cause: Cause,
    /// The mode it tells of, which is not the account's where a story says so.
    pub livemode: bool,
    /// Unix seconds, of the wall.
    pub created: i64,
}

impl Row for Event {
    const OBJECT: &'static str = "event";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// The request behind an event; empty for what Stripe does by itself.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    /// `req_...`
    pub request: Option<String>,
    /// The caller's key.
    pub idempotency_key: Option<String>,
}

/// Where events are sent.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `we_...`
    pub id: String,
    /// The address.
    pub url: String,
    /// Signing secrets; several while one is being rolled, newest first.
    pub secrets: Vec<String>,
    /// Event types, or `*`.
    pub enabled_events: Vec<String>,
    /// The version of the payloads; `None` is the account's.
    pub api_version: Option<String>,
    /// A note for the owner.
    pub description: Option<String>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// A disabled endpoint gets nothing, and nothing later either.
    pub disabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Endpoint {
    const OBJECT: &'static str = "webhook endpoint";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

impl Endpoint {
    /// Whether it gets events of this type.
    pub fn wants(&self, kind: &str) -> bool {
        !self.disabled && !self.deleted && self.enabled_events.iter().any(|name| name == "*" || name == kind)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// Its place in the list of deliveries.
    pub id: usize,
    /// The event's id.
    pub event: String,
    /// The event's type.
    pub kind: &'static str,
    /// The endpoint's id.
    pub endpoint: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// What has been tried.
    pub attempts: Vec<Attempt>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits or is under way.
    Pending,
    /// The endpoint answered 2xx.
    Delivered,
    /// The retries are used up.
    Failed,
    /// A fault swallowed it.
    Dropped,
}

impl DeliveryState {
    /// The name on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// One attempt of a delivery.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Unix seconds, of the wall.
    pub at: i64,
    /// The answer's status.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
}
