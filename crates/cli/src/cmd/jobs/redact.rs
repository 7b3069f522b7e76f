//! What of a job's arguments may be printed: ids, reasons and states. Sealed tokens and bodies with personal
//! data may not, and what is not known here may not either.

use serde_json::{Map, Value, json};

/// The arguments that any kind of job may show.
const SHOWN: [&str; 28] = [
    "add",
    "at",
    "bot_permissions",
    "bot_top_position",
    "bot_user_id",
    "created",
    "event_id",
    "event_type",
    "fence",
    "guild_id",
    "identified",
    "job",
    "lane",
    "livemode",
    "member_id",
    "notification_id",
    "pending",
    "probe",
    "reason",
    "remove",
    "requested_at",
    "result",
    "revision",
    "run_id",
    "session_id",
    "subscription_id",
    "type",
    "user_id",
];

/// The arguments, with a note in place of each that is not for people.
pub(super) fn args(args: &str) -> Value {
    match serde_json::from_str(args) {
        Ok(Value::Object(fields)) => Value::Object(fields.into_iter().map(field).collect::<Map<_, _>>()),
        _ => hidden(args.len()),
    }
}

fn field((name, value): (String, Value)) -> (String, Value) {
    let shown = if value.is_null() || SHOWN.contains(&name.as_str()) {
        value
    } else {
        hidden(value.to_string().len())
    };
    (name, shown)
}

fn hidden(bytes: usize) -> Value {
    json!(format!("(hidden, {bytes} bytes)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_and_sealed_tokens_and_bodies_are_not() {
        let command = r#"{"guild_id":"1","user_id":"2","add":["3"],"remove":[],"revision":4,"lane":"now",
            "reason":"linked","join":"sealed-token","probe":false}"#;
        let shown = args(command);
        assert_eq!(
            (&shown["user_id"], &shown["reason"]),
            (&json!("2"), &json!("linked"))
        );
        assert_eq!(shown["join"], json!("(hidden, 14 bytes)"));
        let event = r#"{"event_id":"evt_1","payload":{"data":{"object":{"email":"ada@example.com"}}}}"#;
        let shown = args(event).to_string();
        assert!(shown.contains("evt_1") && !shown.contains("ada@"), "{shown}");
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        for unknown in [
            r#"{"access_token":"secret"}"#,
            r#"["secret"]"#,
            r#""secret""#,
            "secret",
        ] {
            let shown = args(unknown).to_string();
            assert!(shown.contains("hidden") && !shown.contains("secret\""), "{shown}");
        }
        assert_eq!(args(r#"{"join":null}"#), json!({ "join": null }), "there is none");
    }
}
