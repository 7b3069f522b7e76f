//! What an HTTP answer of Stripe means.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{StatusCode, header::HeaderMap};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    client::{call::Call, retry::Failure},
    error::StripeError,
};

/// The longest text of an error that is kept.
const MAX_MESSAGE_CHARS: usize = 500;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Stripe's error object, of which any part may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorObject {
    message: Option<String>,
    param: Option<String>,
    code: Option<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

/// Any of Stripe's objects.
#[derive(Deserialize)]
struct NamedObject {
    object: String,
}

impl Answer {
    /// What a success brought. If that cannot be read, the fault lies with the one object as long as it is one of
    /// Stripe's, each of which says what it is; anything else comes from somebody who stands in between.
    pub(crate) fn read<T: DeserializeOwned>(&self, call: &Call) -> Result<T, StripeError> {
        serde_json::from_slice(&self.body).map_err(|source| {
            let named = serde_json::from_slice::<NamedObject>(&self.body);
            if named.is_ok_and(|named| !named.object.is_empty()) {
                let subject = call.subject.clone();
                StripeError::Decode { subject, source }
            } else {
                StripeError::NotStripe {
                    endpoint: call.endpoint,
                    status: self.status.as_u16(),
                }
            }
        })
    }

    /// What it tells about trying again.
    pub(crate) fn failure(&self) -> Failure {
        let should_retry = self.should_retry().or(self.is_saved_one().then_some(false));
        Failure::refusal(self.status.as_u16(), should_retry, self.retry_after())
    }

    /// `Retry-After` in seconds. Stripe does not send dates.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.text("retry-after")?.parse().ok().map(Duration::from_secs)
    }

    /// The id by which Stripe's support and dashboard know this request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.text("request-id")
    }

    /// Whether the whole account is told to slow down: a 429 that is not about a lock on one object.
    pub(crate) fn is_too_many_requests(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            && self.error_object().and_then(|error| error.code).as_deref() != Some("lock_timeout")
    }

    /// The error that a status other than success means. `redact` takes secrets out of a text.
    pub(crate) fn into_error(self, call: &Call, redact: impl Fn(&str) -> String) -> StripeError {
        let endpoint = call.endpoint;
        let subject = call.subject.clone();
        let status = self.status.as_u16();
        let retry_after = self.retry_after();
        match (status, self.error_object()) {
            (401, _) => StripeError::Unauthorized,
            (403, _) => StripeError::Forbidden { endpoint },
            (429, _) => StripeError::RateLimited { retry_after },
            (409 | 500.., _) => StripeError::Unavailable {
                endpoint,
                status,
                retry_after,
            },
            // A 404 of a proxy must not read as the end of a subscription, nor one of a wrong path.
            (404, Some(error)) if !error.is_about_the_path() => StripeError::NotFound { subject },
            (400..=499, Some(error)) => StripeError::Invalid {
                subject,
                message: redact(&shorten(error.message.as_deref().unwrap_or("no reason given"))),
                param: error.param.as_deref().map(&redact),
                code: error.code.as_deref().map(&redact),
            },
            _ => StripeError::NotStripe { endpoint, status },
        }
    }

    fn should_retry(&self) -> Option<bool> {
        self.text("stripe-should-retry")?.parse().ok()
    }

    /// Whether it is the answer to an earlier call under the same idempotency key, which it always will be.
    fn is_saved_one(&self) -> bool {
        self.text("idempotent-replayed") == Some("true")
    }

    fn text(&self, header: &str) -> Option<&str> {
        self.headers.get(header)?.to_str().ok()
    }

    fn error_object(&self) -> Option<ErrorObject> {
        serde_json::from_slice::<ErrorBody>(&self.body)
            .ok()
            .map(|body| body.error)
    }
}

impl ErrorObject {
    fn is_about_the_path(&self) -> bool {
        self.message
            .as_deref()
            .is_some_and(|message| message.starts_with("Unrecognized request URL"))
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}
