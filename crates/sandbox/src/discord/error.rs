//! Refusals as Discord words them: an HTTP status, a JSON code and a message.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::{Value, json};

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Discord's own code; 0 where only the HTTP status speaks.
    pub code: u32,
    /// What went wrong.
    pub message: String,
    /// Faults by field, as in "Invalid Form Body".
    pub errors: Option<Value>,
}

macro_rules! refusals {
    ($($name:ident = $status:ident, $code:literal, $message:literal;)*) => {
        impl ApiError {
            $(pub(crate) fn $name() -> Self {
                Self::new(StatusCode::$status, $code, $message)
            })*
        }
    };
}

refusals! {
    unauthorized = UNAUTHORIZED, 0, "401: Unauthorized";
    not_found = NOT_FOUND, 0, "404: Not Found";
    method_not_allowed = METHOD_NOT_ALLOWED, 0, "405: Method Not Allowed";
    unknown_channel = NOT_FOUND, 10003, "Unknown Channel";
    unknown_guild = NOT_FOUND, 10004, "Unknown Guild";
    unknown_member = NOT_FOUND, 10007, "Unknown Member";
    unknown_message = NOT_FOUND, 10008, "Unknown Message";
    unknown_role = NOT_FOUND, 10011, "Unknown Role";
    unknown_user = NOT_FOUND, 10013, "Unknown User";
    unknown_webhook = NOT_FOUND, 10015, "Unknown Webhook";
    unknown_interaction = NOT_FOUND, 10062, "Unknown interaction";
    bots_cannot = FORBIDDEN, 20001, "Bots cannot use this endpoint";
    banned = FORBIDDEN, 40007, "The user is banned from this guild.";
    already_acknowledged = BAD_REQUEST, 40060, "Interaction has already been acknowledged.";
    missing_access = FORBIDDEN, 50001, "Missing Access";
    empty_message = BAD_REQUEST, 50006, "Cannot send an empty message";
    cannot_dm = FORBIDDEN, 50007, "Cannot send messages to this user";
    missing_permissions = FORBIDDEN, 50013, "Missing Permissions";
    invalid_access_token = FORBIDDEN, 50025, "Invalid OAuth2 access token";
    missing_scope = FORBIDDEN, 50026, "Missing required OAuth2 scope";
    invalid_webhook_token = UNAUTHORIZED, 50027, "Invalid Webhook Token";
    invalid_role = BAD_REQUEST, 50028, "Invalid Role";
    invalid_json = BAD_REQUEST, 50109, "The request body contains invalid JSON.";
    no_mutual_guild = FORBIDDEN, 50278, "Cannot send messages to this user due to having no mutual guilds";
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            errors: None,
        }
    }

    /// "Invalid Form Body" with one fault at `field`.
    pub(crate) fn form(field: &str, code: &str, message: impl Into<String>) -> Self {
        let fault = json!({"_errors": [{"code": code, "message": message.into()}]});
        let errors = field
            .rsplit('.')
            .fold(fault, |inner, name| json!({ name: inner }));
        Self {
            errors: Some(errors),
            ..Self::new(StatusCode::BAD_REQUEST, 50035, "Invalid Form Body")
        }
    }

    pub(crate) fn required(field: &str) -> Self {
        Self::form(field, "BASE_TYPE_REQUIRED", "This field is required")
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = json!({"message": self.message, "code": self.code});
        if let (Some(errors), Some(body)) = (&self.errors, body.as_object_mut()) {
            body.insert("errors".to_owned(), errors.clone());
        }
        HttpResponse::build(self.status).json(body)
    }
}
