//! Webhooks as Stripe sends them, signed and made into bytes beforehand.

use anyhow::Context;
use rolecall_sandbox::{
    clock::Clock,
    stripe::{API_VERSION, webhook::sign},
};
use serde_json::Value;

use crate::{
    bench::http::Requests,
    stack::{Stack, WEBHOOK_SECRET},
};

/// An event about one subscription, but for its id.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    kind: &'static str,
    created: i64,
    object: String,
}

impl Event {
    /// What Stripe would tell of this subscription now.
    pub(crate) fn about(stack: &Stack, subscription: &str, kind: &'static str) -> anyhow::Result<Self> {
        let object: Value = stack
            .stripe
            .object(subscription)
            .with_context(|| format!("the simulated Stripe has no {subscription}"))?;
        let pretty = serde_json::to_string_pretty(&object)?;
        Ok(Self {
            kind,
            created: Clock::system().wall().timestamp(),
            object: pretty.replace('\n', "\n    "),
        })
    }

    /// The body under this id, in the order and with the spaces that Stripe uses.
    pub(crate) fn body(&self, id: &str) -> String {
        let Self {
            kind,
            created,
            object,
        } = self;
        format!(
            "{{\n  \"id\": \"{id}\",\n  \"object\": \"event\",\n  \"api_version\": \"{API_VERSION}\",\n  \
             \"created\": {created},\n  \"data\": {{\n    \"object\": {object}\n  }},\n  \"livemode\": false,\n  \
             \"pending_webhooks\": 1,\n  \"request\": {{\n    \"id\": null,\n    \"idempotency_key\": null\n  }},\n  \
             \"type\": \"{kind}\"\n}}"
        )
    }

    /// The whole request, signed now.
    pub(crate) fn request(&self, id: &str) -> Vec<u8> {
        let body = self.body(id);
        let now = Clock::system().wall().timestamp();
        let signature = sign::header(now, body.as_bytes(), &[WEBHOOK_SECRET.to_owned()]);
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\n\
             user-agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\naccept: */*; q=0.5, application/xml\r\n\
             cache-control: no-cache\r\ncontent-type: application/json; charset=utf-8\r\n\
             stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }
}

/// One request for each event, with ids that begin with `prefix`.
pub(crate) fn requests<'a>(prefix: &str, events: impl IntoIterator<Item = &'a Event>) -> Requests {
    let numbered = events.into_iter().enumerate();
    numbered
        .map(|(number, event)| event.request(&event_id(prefix, number)))
        .collect()
}

/// As long as Stripe's.
fn event_id(prefix: &str, number: usize) -> String {
    format!(
        "evt_1{prefix}{number:0width$}",
        width = 23_usize.saturating_sub(prefix.len())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_json_with_the_fields_of_an_event_and_the_request_says_its_length() {
        let event = Event {
            kind: "customer.subscription.updated",
            created: 1_767_225_600,
            object: r#"{"id": "sub_1"}"#.to_owned(),
        };
        let body: Value = serde_json::from_str(&event.body("evt_1")).unwrap();
        assert_eq!(body["id"], "evt_1");
        assert_eq!(body["data"]["object"]["id"], "sub_1");
        let request = String::from_utf8(event.request("evt_1")).unwrap();
        let (head, sent) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}", sent.len())),
            "{head}"
        );
    }

    #[test]
    fn ids_are_as_long_as_those_of_stripe_and_differ() {
        assert_eq!(event_id("a", 7).len(), "evt_1AbCdEfGhIjKlMnOpQrStUvW".len());
        assert_ne!(event_id("a", 1), event_id("a", 11));
        assert_ne!(event_id("a", 1), event_id("b", 1));
    }
}
