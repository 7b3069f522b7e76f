//! JSON on the wire, indented by two spaces as Stripe does.

use serde_json::Value;

/// The value as bytes.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    // A `Value` has string keys only, so it can always be written.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}
