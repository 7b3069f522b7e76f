//! What was done, by whom: `audit_log`. Ids only; no names, addresses or tokens.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{AuditId, MemberId};
use serde_json::Value;

use crate::{Connection, DbError, error::one_row};

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLine<'a> {
    /// Our id.
    pub id: AuditId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `system`, `cli`, `member:<id>`, `staff:<id>`.
    pub actor: &'a str,
    /// What was done, as `thing.verb`.
    pub action: &'a str,
    /// The person it concerns.
    pub member_id: Option<MemberId>,
    /// What it was done to, as an id.
    pub subject: &'a str,
    /// More, as ids and numbers.
    pub detail: Value,
}

/// Adds a line.
pub async fn insert_audit_line(conn: &mut Connection, line: &AuditLine<'_>) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO audit_log (id, at, actor, action, member_id, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        line.id.as_uuid(),
        line.at,
        line.actor,
        line.action,
        line.member_id.map(MemberId::as_uuid),
        line.subject,
        line.detail,
    )
    .execute(conn)
    .await?;
    one_row("audit_log", &done)
}
