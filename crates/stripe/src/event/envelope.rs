//! The four fields that every event has, snapshot or thin.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{InvalidId, StripeEventId};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What is needed to take an event in: nothing of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventEnvelope {
    /// `evt_...`, the same in every delivery of this event.
    pub id: StripeEventId,
    /// For instance `customer.subscription.updated`; thin events say `v1.customer...` or `v2...`.
    pub event_type: String,
    /// When Stripe made it. Whole seconds in snapshot events: not an order.
    pub created: DateTime<Utc>,
    /// Live mode, or test mode and sandboxes.
    pub livemode: bool,
}

/// Why a body is not an event.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not a JSON object.
    #[error("the event is not a JSON object")]
    NotAnObject(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A field that every event has is not there.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// A field that every event has is something else than expected.
    #[error("the event's `{field}` is not {expected}")]
    Unexpected {
        /// The name of the field.
        field: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// An id that is not an event's.
    #[error("the event has a wrong id")]
    Id(#[from] InvalidId),
}

impl EventEnvelope {
    /// Reads the envelope of an event as Stripe sends it; the rest is only checked to be JSON.
    pub fn parse(text: &str) -> Result<Self, EnvelopeError> {
        // The JSON reader would also take an array of the four values for the object.
        if !text.trim_start().starts_with('{') {
            return Err(EnvelopeError::NotAnObject(
                "it does not begin with a brace".into(),
            ));
        }
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|error| EnvelopeError::NotAnObject(error.into()))?;
        Ok(Self {
            id: field::<String>(fields.id, "id", "a text")?.parse()?,
            event_type: field(fields.event_type, "type", "a text")
                .and_then(|name: String| non_empty(name, "type"))?,
            created: created(fields.created)?,
            livemode: field(fields.livemode, "livemode", "true or false")?,
        })
    }
}

/// Borrowed and unread, so that a wrong type is reported by the name of its field.
#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct Fields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    livemode: Option<&'a RawValue>,
}

fn field<'a, T: Deserialize<'a>>(
    value: Option<&'a RawValue>,
    field: &'static str,
    expected: &'static str,
) -> Result<T, EnvelopeError> {
    let value = value.ok_or(EnvelopeError::Missing(field))?;
    serde_json::from_str(value.get()).map_err(|_| EnvelopeError::Unexpected { field, expected })
}

fn non_empty(text: String, field: &'static str) -> Result<String, EnvelopeError> {
    if text.is_empty() {
        return Err(EnvelopeError::Unexpected {
            field,
            expected: "a text of at least one character",
        });
    }
    Ok(text)
}

/// Seconds since 1970 in snapshot events, RFC 3339 in thin ones.
fn created(value: Option<&RawValue>) -> Result<DateTime<Utc>, EnvelopeError> {
    const NAME: &str = "created";
    const EXPECTED: &str = "a number of seconds or an RFC 3339 time";
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Created {
        Seconds(i64),
        Text(String),
    }
    let time = match field(value, NAME, EXPECTED)? {
        Created::Seconds(seconds) => DateTime::from_timestamp(seconds, 0),
        Created::Text(text) => DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc()),
    };
    time.ok_or(EnvelopeError::Unexpected {
        field: NAME,
        expected: EXPECTED,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SNAPSHOT: &str = r#"{"id":"evt_1","object":"event","type":"invoice.paid","created":1767225600,
        "livemode":false,"data":{"object":{"id":"in_1","created":"no","type":7}}}"#;

    fn error(body: &str) -> String {
        EventEnvelope::parse(body).unwrap_err().to_string()
    }

    #[test]
    fn a_snapshot_event_is_read() {
        let envelope = EventEnvelope::parse(SNAPSHOT).unwrap();
        assert_eq!(envelope.id.as_str(), "evt_1");
        assert_eq!(envelope.event_type, "invoice.paid");
        assert_eq!(envelope.created.timestamp(), 1_767_225_600);
        assert!(!envelope.livemode);
    }

    #[test]
    fn a_thin_event_is_read() {
        let body = r#"{"id":"evt_test_65R","object":"v2.core.event","type":"v1.customer.subscription.updated",
            "created":"2026-11-20T12:00:01.345Z","livemode":true,"context":null,
            "related_object":{"id":"sub_1","type":"subscription","url":"/v1/subscriptions/sub_1"}}"#;
        let envelope = EventEnvelope::parse(body).unwrap();
        assert_eq!(envelope.created.timestamp_millis() % 1_000, 345);
        assert!(envelope.livemode);
    }

    #[test]
    fn each_fault_is_named() {
        for (from, to, expected) in [
            (r#""id":"evt_1","#, "", "the event has no `id`"),
            (r#""id":"evt_1","#, r#""id":null,"#, "the event has no `id`"),
            (r#""id":"evt_1","#, r#""id":7,"#, "the event's `id` is not a text"),
            (r#""id":"evt_1","#, r#""id":"sub_1","#, "the event has a wrong id"),
            (r#""type":"invoice.paid","#, "", "the event has no `type`"),
            (
                r#""type":"invoice.paid","#,
                r#""type":"","#,
                "the event's `type` is not a text of at least one character",
            ),
            (r#""created":1767225600,"#, "", "the event has no `created`"),
            (
                r#""created":1767225600,"#,
                r#""created":"yesterday","#,
                "the event's `created` is not a number of seconds or an RFC 3339 time",
            ),
            (
                r#""created":1767225600,"#,
                r#""created":9223372036854775807,"#,
                "the event's `created` is not a number of seconds or an RFC 3339 time",
            ),
            (r#""livemode":false,"#, "", "the event has no `livemode`"),
            (
                r#""livemode":false,"#,
                r#""livemode":"no","#,
                "the event's `livemode` is not true or false",
            ),
            (
                r#""id":"evt_1","#,
                r#""id":"evt_1","id":"evt_2","#,
                "the event is not a JSON object",
            ),
        ] {
            let body = SNAPSHOT.replace(from, to);
            assert_ne!(body, SNAPSHOT);
            assert_eq!(error(&body), expected, "{body}");
        }
    }

    #[test]
    fn only_a_json_object_is_an_event() {
        let array = r#"["evt_1","invoice.paid",1767225600,false]"#;
        for body in [
            "",
            "null",
            "[]",
            array,
            "7",
            "\"evt_1\"",
            "{",
            "{}x",
            "<html>",
            "\u{feff}{}",
        ] {
            assert_eq!(error(body), "the event is not a JSON object", "{body:?}");
        }
    }

    #[test]
    fn escapes_and_order_do_not_matter() {
        let body = r#"{"livemode":false,"type":"a\u002eb","created":0,"\u0069d":"evt\u005f1"}"#;
        let envelope = EventEnvelope::parse(body).unwrap();
        assert_eq!(
            (envelope.id.as_str(), envelope.event_type.as_str()),
            ("evt_1", "a.b")
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(body in any::<String>()) {
            prop_assert!(EventEnvelope::parse(&body).is_err());
        }
    }
}
