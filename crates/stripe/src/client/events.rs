//! Events as Stripe keeps them: what webhooks may have missed.

use std::fmt;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;
use serde::Deserialize;
use serde_json::value::RawValue;
use stripe_core::event::{ListEvent, RetrieveEvent};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use crate::{
    client::{Client, PAGE_SIZE, call::Call},
    error::StripeError,
    event::{EnvelopeError, EventEnvelope},
    types::page::Page,
};

/// Which events to list. Stripe keeps them for 30 days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those made at this time or later.
    pub created_since: Option<DateTime<Utc>>,
    /// Only those made before this time.
    pub created_before: Option<DateTime<Utc>>,
    /// Only these types, at most 20; empty for all.
    pub types: Vec<String>,
}

/// Where in the list, which is newest first, a page lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventCursor {
    /// At the newest.
    Newest,
    /// Right after this event in the list: older ones.
    OlderThan(StripeEventId),
    /// Right before this event in the list: newer ones. Walking this way goes forward in time.
    NewerThan(StripeEventId),
}

/// An event of the list: word for word what a webhook would have brought.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ListedEvent(Box<RawValue>);

impl ListedEvent {
    /// Its envelope. Read one by one, so that an odd event does not cost the whole page.
    pub fn envelope(&self) -> Result<EventEnvelope, EnvelopeError> {
        EventEnvelope::parse(self.0.get())
    }

    /// The event as Stripe wrote it.
    pub fn into_payload(self) -> Box<RawValue> {
        self.0
    }
}

/// Without the payload, which holds personal data.
impl fmt::Debug for ListedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListedEvent").field(&self.envelope()).finish()
    }
}

impl Client {
    /// One event, as long as Stripe keeps it.
    pub async fn get_event(&self, id: &StripeEventId) -> Result<ListedEvent, StripeError> {
        let request = RetrieveEvent::new(id.as_str());
        let call = Call::read("GET /v1/events/{id}", format!("event {id}"), &request);
        self.transport.send(&call).await
    }

    /// One page of events, newest first.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        cursor: &EventCursor,
    ) -> Result<Page<ListedEvent>, StripeError> {
        let mut request = ListEvent::new().limit(PAGE_SIZE);
        if filter.created_since.is_some() || filter.created_before.is_some() {
            request = request.created(RangeQueryTs::Bounds(RangeBoundsTs {
                gte: filter.created_since.map(|since| since.timestamp()),
                lt: filter.created_before.map(|before| before.timestamp()),
                ..RangeBoundsTs::default()
            }));
        }
        if !filter.types.is_empty() {
            request = request.types(filter.types.clone());
        }
        request = match cursor {
            EventCursor::Newest => request,
            EventCursor::OlderThan(id) => request.starting_after(id.as_str()),
            EventCursor::NewerThan(id) => request.ending_before(id.as_str()),
        };
        self.transport
            .send(&Call::read("GET /v1/events", "the events", &request))
            .await
    }
}
