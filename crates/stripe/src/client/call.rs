//! One call: async-stripe's typed request, with what our transport and messages need beside it.

use std::collections::BTreeMap;

use rolecall_domain::clock::{Rng, random_bytes};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use crate::error::StripeError;

/// The longest idempotency key that Stripe takes.
const MAX_KEY_BYTES: usize = 255;

/// One call, the same for each attempt.
#[derive(Debug)]
pub(crate) struct Call {
    /// Method and path with placeholders: for the pace, logs and errors.
    pub(crate) endpoint: &'static str,
    /// What it is about, for errors: `subscription sub_123`.
    pub(crate) subject: String,
    pub(crate) request: RequestBuilder,
    /// One for all attempts of a write, so that it happens once.
    pub(crate) idempotency_key: Option<String>,
}

impl Call {
    /// A read.
    pub(crate) fn read(
        endpoint: &'static str,
        subject: impl Into<String>,
        request: &impl StripeRequest,
    ) -> Self {
        Self {
            endpoint,
            subject: subject.into(),
            request: request.build(),
            idempotency_key: None,
        }
    }

    /// A read that async-stripe has no small crate for.
    pub(crate) fn read_path(
        endpoint: &'static str,
        subject: impl Into<String>,
        path: impl Into<String>,
        query: &[(&str, &str)],
    ) -> Self {
        let request = RequestBuilder::new(StripeMethod::Get, path);
        let request = if query.is_empty() {
            request
        } else {
            request.query(&query.iter().copied().collect::<BTreeMap<_, _>>())
        };
        Self {
            endpoint,
            subject: subject.into(),
            request,
            idempotency_key: None,
        }
    }

    /// A write. The key tells one intended write from another; a retry of the caller uses the same.
    pub(crate) fn write(
        endpoint: &'static str,
        subject: impl Into<String>,
        request: &impl StripeRequest,
        idempotency_key: &str,
    ) -> Result<Self, StripeError> {
        let subject = subject.into();
        if !is_idempotency_key(idempotency_key) {
            return Err(StripeError::Invalid {
                subject,
                message: format!("an idempotency key is 1 to {MAX_KEY_BYTES} visible ASCII characters"),
                param: Some("Idempotency-Key".to_owned()),
                code: None,
            });
        }
        let idempotency_key = Some(idempotency_key.to_owned());
        let mut request = request.build();
        // async-stripe keeps metadata in hash maps, whose order differs from one request to the next;
        // under the same key the same request has to be the same.
        request.body = request.body.as_deref().map(in_order);
        Ok(Self {
            endpoint,
            subject,
            request,
            idempotency_key,
        })
    }

    /// A write that is harmless twice: the key only joins the attempts of this call.
    pub(crate) fn harmless_write(
        endpoint: &'static str,
        subject: impl Into<String>,
        request: &impl StripeRequest,
        rng: &dyn Rng,
    ) -> Self {
        let idempotency_key = Some(hex::encode(random_bytes::<16>(rng)));
        Self {
            endpoint,
            subject: subject.into(),
            request: request.build(),
            idempotency_key,
        }
    }
}

fn is_idempotency_key(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A form with its fields in alphabetical order. Lists carry their indexes, so nothing changes its place in one.
fn in_order(form: &str) -> String {
    let mut fields: Vec<&str> = form.split('&').collect();
    fields.sort_unstable();
    fields.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fields_make_the_same_form() {
        assert_eq!(in_order("b[x]=1&a=2&b[a]=3"), "a=2&b[a]=3&b[x]=1");
        assert_eq!(in_order("b[a]=3&b[x]=1&a=2"), in_order("a=2&b[x]=1&b[a]=3"));
        assert_eq!(in_order(""), "");
    }
}
