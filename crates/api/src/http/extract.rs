//! How bodies, forms and queries are read: their limits, and their errors as ours.

use std::io;

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::{JsonPayloadError, PayloadError, UrlencodedError},
    http::Method,
    middleware::Next,
    web::{Data, FormConfig, JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig},
};
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::{error::ApiError, state::State};

/// Our largest form has three short fields.
pub(crate) const MOST_BYTES: usize = 16 * 1024;

/// Sets them for all routes.
pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .app_data(PayloadConfig::new(MOST_BYTES))
        .app_data(
            JsonConfig::default()
                .limit(MOST_BYTES)
                .error_handler(|error, _| json(&error).into()),
        )
        .app_data(
            FormConfig::default()
                .limit(MOST_BYTES)
                .error_handler(|error, _| form(&error).into()),
        )
        .app_data(QueryConfig::default().error_handler(|error, _| bad(&error).into()))
        // What does not look like an id is not one of ours.
        .app_data(PathConfig::default().error_handler(|_, _| ApiError::NotFound.into()));
}

/// Gives the body of a write its time: who sends a letter now and then would keep a connection for ever.
pub(crate) async fn hurry<B: MessageBody>(
    state: Data<State>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let payload = request.take_payload();
        request.set_payload(until(Instant::now() + state.body_timeout, payload));
    }
    next.call(request).await
}

fn until(deadline: Instant, payload: Payload) -> Payload {
    let chunks = stream::unfold(Some(payload), move |payload| async move {
        let mut payload = payload?;
        match timeout_at(deadline, payload.next()).await {
            Ok(chunk) => chunk.map(|chunk| (chunk, Some(payload))),
            Err(_) => Some((Err(PayloadError::Io(io::ErrorKind::TimedOut.into())), None)),
        }
    });
    Payload::Stream {
        payload: Box::pin(chunks),
    }
}

fn is_late(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

fn json(error: &JsonPayloadError) -> ApiError {
    match error {
        JsonPayloadError::Payload(error) if is_late(error) => ApiError::RequestTimeout,
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            ApiError::BodyTooLarge { limit: MOST_BYTES }
        }
        JsonPayloadError::ContentType => ApiError::UnsupportedMediaType {
            expected: "application/json",
        },
        other => bad(other),
    }
}

fn form(error: &UrlencodedError) -> ApiError {
    match error {
        UrlencodedError::Payload(error) if is_late(error) => ApiError::RequestTimeout,
        UrlencodedError::Overflow { .. } => ApiError::BodyTooLarge { limit: MOST_BYTES },
        UrlencodedError::ContentType => ApiError::UnsupportedMediaType {
            expected: "application/x-www-form-urlencoded",
        },
        other => bad(other),
    }
}

fn bad(error: &dyn std::error::Error) -> ApiError {
    ApiError::BadRequest {
        detail: error.to_string(),
    }
}
