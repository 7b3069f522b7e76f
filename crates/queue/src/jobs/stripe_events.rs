//! What Stripe told us, as it came in.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeEventId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{job::Job, keys::Queue};

/// A webhook event whose signature was right.
#[derive(Clone, Serialize, Deserialize)]
pub struct StripeEvent {
    /// The event's id: what makes a redelivery a duplicate.
    pub event_id: StripeEventId,
    /// Stripe's name of what happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When Stripe made the event.
    pub created: DateTime<Utc>,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The whole event as it was signed.
    pub payload: Box<RawValue>,
}

impl fmt::Debug for StripeEvent {
    /// Without the payload, which holds personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeEvent")
            .field("event_id", &self.event_id)
            .field("event_type", &self.event_type)
            .field("created", &self.created)
            .field("livemode", &self.livemode)
            .field("payload_bytes", &self.payload.get().len())
            .finish()
    }
}

impl Job for StripeEvent {
    const KIND: &'static str = "stripe_event";
    /// More than two days: longer than Stripe has ever been away.
    const MAX_ATTEMPTS: u32 = 12;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const QUEUES: &'static [Queue] = &[Queue::StripeEvents];

    fn queue(&self) -> Queue {
        Queue::StripeEvents
    }

    fn size_hint(&self) -> usize {
        self.payload.get().len() + 256
    }

    fn dedup_key(&self) -> Option<String> {
        Some(self.event_id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::assert_golden;

    fn event() -> StripeEvent {
        StripeEvent {
            event_id: "evt_1".parse().unwrap(),
            event_type: "invoice.paid".to_owned(),
            created: "2026-11-21T00:00:00Z".parse().unwrap(),
            livemode: false,
            payload: RawValue::from_string(r#"{"id": "evt_1",  "secret": 1.50}"#.to_owned()).unwrap(),
        }
    }

    #[test]
    fn the_payload_is_kept_to_the_letter() {
        assert_golden(
            &event(),
            concat!(
                r#"{"event_id":"evt_1","type":"invoice.paid","created":"2026-11-21T00:00:00Z","#,
                r#""livemode":false,"payload":{"id": "evt_1",  "secret": 1.50}}"#
            ),
        );
    }

    #[test]
    fn a_redelivered_event_is_a_duplicate_for_four_days() {
        assert_eq!(event().dedup_key().as_deref(), Some("evt_1"));
        assert_eq!(StripeEvent::DEDUP_FOR, Duration::from_hours(4 * 24));
    }

    #[test]
    fn the_payload_is_not_printed() {
        assert!(!format!("{:?}", event()).contains("secret"));
    }
}
