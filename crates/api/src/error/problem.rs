//! An error as problem+json.

use actix_web::{HttpResponse, HttpResponseBuilder, http::header};
use serde::Serialize;

use crate::error::ApiError;

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    request_id: &'a str,
}

/// The answer for a program.
pub(crate) fn response(error: &ApiError, request_id: &str) -> HttpResponse {
    let code = error.code();
    let problem = Problem {
        r#type: "about:blank",
        title: code.title(),
        status: code.status().as_u16(),
        code: code.as_str(),
        detail: error.detail(),
        request_id,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    builder(error)
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .body(body)
}

/// The status and the headers that an error brings, whatever its body.
pub(crate) fn builder(error: &ApiError) -> HttpResponseBuilder {
    let mut builder = HttpResponse::build(error.code().status());
    builder.insert_header((header::CACHE_CONTROL, "no-store"));
    if let Some(wait) = error.retry_after() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        builder.insert_header((header::RETRY_AFTER, seconds.max(1)));
    }
    if let ApiError::MethodNotAllowed { allow } = error {
        builder.insert_header((header::ALLOW, *allow));
    }
    builder
}
