//! The part of an object that changed, as it was before.

use serde_json::{Map, Value};

/// `previous_attributes` of an update: only what differs; lists are told whole. `None` if nothing does.
pub(crate) fn previous_attributes(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return None;
    };
    let mut changed = Map::new();
    for key in before.keys().chain(after.keys()) {
        let old = before.get(key).unwrap_or(&Value::Null);
        let new = after.get(key).unwrap_or(&Value::Null);
        if old == new {
            continue;
        }
        let told = match (old, new) {
            (Value::Object(_), Value::Object(_)) => previous_attributes(old, new),
            _ => Some(old.clone()),
        };
        changed.insert(key.clone(), told.unwrap_or_default());
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_changed_is_told_and_nothing_changed_is_none() {
        let before = json!({ "a": 1, "b": { "c": 2, "d": 3 }, "e": [1], "f": null });
        let after = json!({ "a": 1, "b": { "c": 9, "d": 3 }, "e": [1, 2], "f": 5 });
        let told = previous_attributes(&before, &after);
        assert_eq!(told, Some(json!({ "b": { "c": 2 }, "e": [1], "f": null })));
        assert_eq!(previous_attributes(&before, &before), None);
    }
}
