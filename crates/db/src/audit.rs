//! What was done, by whom: `audit_log`. Ids only; no names, addresses or tokens.

use std::slice;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{AuditId, MemberId};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Connection, DbError,
    error::{rows_affected, rows_written},
};

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
    insert_audit_lines(conn, slice::from_ref(line)).await
}

/// Adds lines.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn insert_audit_lines(conn: &mut Connection, lines: &[AuditLine<'_>]) -> Result<(), DbError> {
    let ids: Vec<Uuid> = lines.iter().map(|line| line.id.as_uuid()).collect();
    let times: Vec<DateTime<Utc>> = lines.iter().map(|line| line.at).collect();
    let actors: Vec<&str> = lines.iter().map(|line| line.actor).collect();
    let actions: Vec<&str> = lines.iter().map(|line| line.action).collect();
    let members: Vec<Option<Uuid>> = lines
        .iter()
        .map(|line| line.member_id.map(MemberId::as_uuid))
        .collect();
    let subjects: Vec<&str> = lines.iter().map(|line| line.subject).collect();
    let details: Vec<&Value> = lines.iter().map(|line| &line.detail).collect();
    let done = sqlx::query!(
        "INSERT INTO audit_log (id, at, actor, action, member_id, subject, detail)
         SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::jsonb[])",
        &ids,
        &times,
        &actors as &[&str],
        &actions as &[&str],
        &members as &[Option<Uuid>],
        &subjects as &[&str],
        &details as &[&Value],
    )
    .execute(conn)
    .await?;
    rows_written("audit_log", rows_affected(&done), lines.len())
}

/// A line as staff reads it. Its JSON is a contract: the API prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRow {
    /// Our id.
    pub id: AuditId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `system`, `cli`, `member:<id>`, `staff:<id>`.
    pub actor: String,
    /// What was done, as `thing.verb`.
    pub action: String,
    /// The person it concerns.
    pub member_id: Option<MemberId>,
    /// What it was done to, as an id.
    pub subject: String,
    /// More, as ids and numbers.
    pub detail: Value,
}

/// Which lines are meant; all of them by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditSelection<'a> {
    /// Only what this one did.
    pub actor: Option<&'a str>,
    /// Only this action, or with a dot at its end all actions that begin so: `grant.`.
    pub action: Option<&'a str>,
    /// Only what concerns this person.
    pub member_id: Option<MemberId>,
}

/// Up to `limit` lines older than `before`, the newest first: ids follow the time.
pub async fn list_audit_rows(
    conn: &mut Connection,
    selection: AuditSelection<'_>,
    before: Option<AuditId>,
    limit: i64,
) -> Result<Vec<AuditRow>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, at, actor, action, member_id, subject, detail FROM audit_log
         WHERE ($1::text IS NULL OR actor = $1)
           AND ($2::text IS NULL OR action = $2 OR $2 LIKE '%.' AND starts_with(action, $2))
           AND ($3::uuid IS NULL OR member_id = $3)
           AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
        selection.actor,
        selection.action,
        selection.member_id.map(MemberId::as_uuid),
        before.map(AuditId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| AuditRow {
        id: AuditId::from_uuid(row.id),
        at: row.at,
        actor: row.actor,
        action: row.action,
        member_id: row.member_id.map(MemberId::from_uuid),
        subject: row.subject,
        detail: row.detail,
    });
    Ok(rows.collect())
}
