//! What was asked of the API, for tests to look at.

use serde::Serialize;

/// One request to the API.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedRequest {
    /// `req_...`, as answered in `Request-Id`.
    pub id: String,
    /// Unix seconds, of the wall.
    pub at: i64,
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters, decoded, in the order they came.
    pub params: Vec<(String, String)>,
    /// The caller's key.
    pub idempotency_key: Option<String>,
    /// The version asked for.
    pub version: Option<String>,
    /// The answer's status; `None` where none was given.
    pub status: Option<u16>,
}

impl LoggedRequest {
    /// A parameter by its full name, such as `line_items[0][price]`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}
