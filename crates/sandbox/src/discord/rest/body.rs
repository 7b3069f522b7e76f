//! Reading what a request brings: snowflakes in its path, JSON in its body, the audit log reason.

use actix_web::{HttpMessage, HttpRequest, web::Bytes};
use serde_json::Value;

use crate::discord::{
    error::ApiError,
    server::guard::{Lie, Reason},
    state::audit::Actor,
};

/// A snowflake of the path.
pub(crate) fn snowflake(field: &str, text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        ApiError::form(
            field,
            "NUMBER_TYPE_COERCE",
            format!("Value \"{text}\" is not snowflake."),
        )
    })
}

/// Two snowflakes of the path.
pub(crate) fn pair(names: [&str; 2], texts: &(String, String)) -> Result<(u64, u64), ApiError> {
    let [first, second] = names;
    Ok((snowflake(first, &texts.0)?, snowflake(second, &texts.1)?))
}

/// A JSON body.
pub(crate) fn json(bytes: &Bytes) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|_| ApiError::invalid_json())
}

/// A JSON body that must be an object.
pub(crate) fn object(bytes: &Bytes) -> Result<Value, ApiError> {
    let told = "Only dictionaries may be used in a DictType";
    json(bytes).and_then(|body| {
        if body.is_object() {
            Ok(body)
        } else {
            Err(ApiError::form("_", "DICT_TYPE_CONVERT", told))
        }
    })
}

/// A list of snowflakes in a body; `None` if it is absent or null.
pub(crate) fn snowflakes(body: &Value, field: &str) -> Result<Option<Vec<u64>>, ApiError> {
    let list = match body.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(_) => {
            return Err(ApiError::form(
                field,
                "LIST_TYPE_CONVERT",
                "Only iterables may be used in a ListType",
            ));
        }
    };
    let ids = list.iter().map(|id| match id {
        Value::String(text) => snowflake(field, text),
        other => snowflake(field, &other.to_string()),
    });
    ids.collect::<Result<_, _>>().map(Some)
}

/// The bot as the one who acts, with the reason it gave.
pub(crate) fn bot_actor(request: &HttpRequest, bot: u64) -> Actor {
    let reason = request
        .extensions()
        .get::<Reason>()
        .map(|reason| reason.0.clone());
    Actor { user: bot, reason }
}

/// Whether the answer to this request is to be a lie.
pub(crate) fn is_lie(request: &HttpRequest) -> bool {
    request.extensions().contains::<Lie>()
}
