//! What happened to a person, newest first: the audit log, Stripe's events about what they bought, and the
//! messages to them, as one list.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::MemberId;
use serde::Serialize;
use serde_json::Value;

use crate::{Connection, DbError};

/// One thing that happened. Its JSON is a contract: the API and `rolecall members timeline --json` print it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Happening {
    /// When.
    pub at: DateTime<Utc>,
    /// `audit`, `event` or `message`.
    pub kind: String,
    /// The id of the line, event or message.
    pub id: String,
    /// What: an action such as `roles.change`, Stripe's type of event, or the kind of message.
    pub what: String,
    /// Who did it, where somebody did.
    pub actor: Option<String>,
    /// What it was done to.
    pub subject: Option<String>,
    /// What became of an event or a message.
    pub state: Option<String>,
    /// More, as ids and numbers.
    pub detail: Value,
}

/// Where in the list something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HappeningPlace {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// `audit`, `event` or `message`.
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl Happening {
    /// Where it stands.
    pub fn place(&self) -> HappeningPlace {
        HappeningPlace {
            at: self.at,
            kind: self.kind.clone(),
            id: self.id.clone(),
        }
    }
}

/// Up to `limit` things that happened to a person before `before`.
///
/// An event is theirs if it is about a subscription, a purchase or a payment that is theirs now.
pub async fn list_happenings(
    conn: &mut Connection,
    member_id: MemberId,
    before: Option<&HappeningPlace>,
    limit: i64,
) -> Result<Vec<Happening>, DbError> {
    Ok(sqlx::query_as!(
        Happening,
        r#"WITH theirs AS (
             SELECT id AS subscription FROM subscriptions WHERE member_id = $1
           ), bought AS (
             SELECT id FROM purchases WHERE member_id = $1
             UNION SELECT id FROM checkout_sessions WHERE member_id = $1
           ), charges AS (
             SELECT p.id FROM payments p
             WHERE p.subscription_id IN (SELECT subscription FROM theirs)
                OR p.payment_intent IN (SELECT payment_intent FROM purchases WHERE member_id = $1)
           ), happenings AS (
             SELECT at, 'audit' AS kind, id::text AS id, action AS what, actor, subject, NULL AS state, detail
             FROM audit_log WHERE member_id = $1
             UNION ALL
             SELECT created_at, 'message', id::text, kind, NULL, NULL, state,
                    jsonb_build_object('channel', channel, 'sent_at', sent_at, 'last_error', last_error)
             FROM notifications WHERE member_id = $1
             UNION ALL
             SELECT seen_at, 'event', event_id, type, NULL, NULL, state,
                    jsonb_build_object('occurred_at', occurred_at, 'last_error', last_error)
             FROM inbox
             WHERE subject -> 'subscriptions' ?| ARRAY(SELECT subscription FROM theirs)
                OR subject ->> 'checkout_session' IN (SELECT id FROM bought)
                OR subject ->> 'charge' IN (SELECT id FROM charges)
           )
           SELECT at AS "at!", kind AS "kind!", id AS "id!", what AS "what!", actor, subject, state,
                  detail AS "detail!"
           FROM happenings
           WHERE $2::timestamptz IS NULL OR (at, kind, id) < ($2, $3::text, $4::text)
           ORDER BY at DESC, kind DESC, id DESC
           LIMIT $5"#,
        member_id.as_uuid(),
        before.map(|place| place.at),
        before.map(|place| place.kind.as_str()),
        before.map(|place| place.id.as_str()),
        limit,
    )
    .fetch_all(conn)
    .await?)
}
