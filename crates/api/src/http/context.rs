//! What a request carries along: its id, its trace, and cookies that were renewed on the way.

use std::convert::Infallible;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::header::HeaderMap};
use futures::future::{Ready, ready};
use rolecall_domain::clock::{Rng, random_bytes};
use rolecall_runtime::trace::Traceparent;

/// The id by which a request is found in the log.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(String);

impl RequestId {
    pub(crate) fn new(rng: &dyn Rng) -> Self {
        Self(hex::encode(random_bytes::<12>(rng)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The trace that a request belongs to: the caller's, or a new one.
#[derive(Debug, Clone)]
pub(crate) struct Trace(Option<Traceparent>);

impl Trace {
    /// The caller's trace, if there is one.
    pub(crate) fn given(headers: &HeaderMap) -> Self {
        let text = headers.get("traceparent").and_then(|value| value.to_str().ok());
        Self(text.and_then(|text| text.parse().ok()))
    }

    /// The caller's trace, or a new one.
    pub(crate) fn of(headers: &HeaderMap, rng: &dyn Rng) -> Self {
        let given = Self::given(headers).0;
        Self(Some(given.unwrap_or_else(|| Traceparent::new_root(rng))))
    }

    /// What a job that follows from this request carries.
    pub(crate) fn child(&self, rng: &dyn Rng) -> String {
        self.0
            .map_or_else(|| Traceparent::new_root(rng), |parent| parent.child(rng))
            .to_string()
    }

    /// The trace's id, for the log.
    pub(crate) fn id(&self) -> String {
        self.0.map(|parent| parent.trace_id()).unwrap_or_default()
    }
}

impl FromRequest for Trace {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or(Self(None))))
    }
}

/// Cookies to be set on the answer, whatever the answer will be.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewCookies(pub(crate) Vec<String>);

impl NewCookies {
    /// Adds cookies to the answer of this request.
    pub(crate) fn add(request: &HttpRequest, cookies: impl IntoIterator<Item = String>) {
        let mut extensions = request.extensions_mut();
        let mut all = extensions.remove::<Self>().unwrap_or_default();
        all.0.extend(cookies);
        extensions.insert(all);
    }
}
