//! What Stripe refuses, in Stripe's words: type, code, message, parameter, HTTP status.

use serde_json::{Value, json};

/// A refused call or action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    decline_code: Option<&'static str>,
    param: Option<String>,
    message: String,
    /// No endpoint had begun.
    early: bool,
}

impl Refusal {
    /// 400 `invalid_request_error`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            kind: "invalid_request_error",
            code: None,
            decline_code: None,
            param: None,
            message: message.into(),
            early: false,
        }
    }

    /// The same, before any endpoint has begun: the parameters are no good by themselves.
    #[must_use]
    pub fn early(self) -> Self {
        Self { early: true, ..self }
    }

    /// 400 for an object named by a parameter that does not exist.
    pub fn missing(object: &str, id: &str) -> Self {
        Self::invalid(format!("No such {object}: '{id}'")).code("resource_missing")
    }

    /// 404 for an object named by the path that does not exist.
    pub fn not_found(object: &str, id: &str) -> Self {
        Self {
            status: 404,
            ..Self::missing(object, id)
        }
        .param("id")
    }

    /// 400 for a parameter that must be there.
    pub fn required(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
            .early()
    }

    /// 402 for a card that the bank refuses.
    pub fn declined() -> Self {
        Self {
            status: 402,
            kind: "card_error",
            decline_code: Some("generic_decline"),
            ..Self::invalid("Your card was declined.").code("card_declined")
        }
    }

    /// 402 for a card whose holder has to confirm first.
    pub fn action_required() -> Self {
        Self {
            status: 402,
            kind: "card_error",
            ..Self::invalid("This payment requires additional user action before it can be completed.")
                .code("invoice_payment_intent_requires_action")
        }
    }

    /// Whether the holder of the card has to confirm.
    pub fn asks_for_action(&self) -> bool {
        self.code == Some("invoice_payment_intent_requires_action")
    }

    /// 401, with or without a key.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self {
            status: 401,
            ..Self::invalid(message)
        }
    }

    /// 400 for a reused idempotency key.
    pub fn idempotency(message: impl Into<String>) -> Self {
        Self {
            kind: "idempotency_error",
            ..Self::invalid(message)
        }
    }

    /// Any status, as a fault on demand answers it.
    pub fn fault(status: u16) -> Self {
        let (kind, code, message) = match status {
            429 => (
                "invalid_request_error",
                Some("rate_limit"),
                "Request rate limit exceeded.",
            ),
            401 => ("invalid_request_error", None, "Invalid API Key provided."),
            404 => (
                "invalid_request_error",
                Some("resource_missing"),
                "No such object.",
            ),
            _ => ("api_error", None, "An unknown error occurred."),
        };
        Self {
            status,
            kind,
            code,
            ..Self::invalid(message)
        }
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Sets the code.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Names the parameter at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.status
    }

    /// Whether the answer is saved under the call's idempotency key. Stripe's reference: "saves the resulting
    /// status code and body of the first request made for any given idempotency key, regardless of whether it
    /// succeeds or fails", including 500s; but not "if incoming parameters fail validation, or the request
    /// conflicts with another request that's executing concurrently". Its guide to errors adds that limits
    /// (429) and missing keys (401) come before. Which refusals are validation it does not list: here it is
    /// what can be told without a look at the account.
    pub fn is_saved(&self) -> bool {
        !self.early && !matches!(self.status, 401 | 409 | 429)
    }

    /// Stripe's code, where there is one.
    pub fn error_code(&self) -> Option<&'static str> {
        self.code
    }

    /// The answer's body.
    pub fn json(&self, request_id: &str) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        let fields = [
            ("code", self.code.map(str::to_owned)),
            ("decline_code", self.decline_code.map(str::to_owned)),
            ("param", self.param.clone()),
            (
                "doc_url",
                self.code
                    .map(|code| format!("https://stripe.com/docs/error-codes/{}", dashed(code))),
            ),
            (
                "request_log_url",
                Some(format!("https://dashboard.stripe.com/test/logs/{request_id}")),
            ),
        ];
        if let Some(map) = error.as_object_mut() {
            for (name, value) in fields {
                if let Some(value) = value {
                    map.insert(name.to_owned(), Value::String(value));
                }
            }
        }
        json!({ "error": error })
    }
}

fn dashed(code: &str) -> String {
    code.replace('_', "-")
}
