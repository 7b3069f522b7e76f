//! How bodies, forms and queries are read: their limits, and their errors as ours.

use actix_web::{
    error::{JsonPayloadError, UrlencodedError},
    web::{FormConfig, JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig},
};

use crate::error::ApiError;

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

fn json(error: &JsonPayloadError) -> ApiError {
    match error {
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
