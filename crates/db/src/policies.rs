//! The owner's policy in all its versions: `policies`.

use chrono::{DateTime, Utc};
use rolecall_domain::policy::Policy;
use serde::Serialize;
use sqlx::types::Json;

use crate::{Connection, DbError};

/// A policy that was put in force. Its JSON is a contract: `rolecall policy show --json` and the API print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SavedPolicy {
    /// Grows with every policy; zero for the built-in rules.
    pub version: i64,
    /// What it says.
    pub policy: Policy,
    /// When it was saved; `None` for the built-in rules.
    pub saved_at: Option<DateTime<Utc>>,
    /// By whom.
    pub saved_by: String,
    /// Why.
    pub reason: String,
}

/// The policy in force.
pub async fn current_policy(conn: &mut Connection) -> Result<SavedPolicy, DbError> {
    let newest = list_policies(conn, None, 1).await?.pop();
    Ok(newest.unwrap_or_else(|| SavedPolicy {
        version: 0,
        policy: Policy::default(),
        saved_at: None,
        saved_by: String::new(),
        reason: String::new(),
    }))
}

/// Up to `limit` policies older than the version `before`, the newest first.
pub async fn list_policies(
    conn: &mut Connection,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<SavedPolicy>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT version, policy AS "policy: Json<Policy>", saved_at, saved_by, reason
           FROM policies WHERE $1::bigint IS NULL OR version < $1
           ORDER BY version DESC LIMIT $2"#,
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    let saved = rows.into_iter().map(|row| SavedPolicy {
        version: row.version,
        policy: row.policy.0,
        saved_at: Some(row.saved_at),
        saved_by: row.saved_by,
        reason: row.reason,
    });
    Ok(saved.collect())
}

/// Puts a policy in force, and returns its version. The caller raises the catalog's version with it
/// and converges everybody.
pub async fn insert_policy(
    conn: &mut Connection,
    policy: &Policy,
    saved_by: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO policies (policy, saved_at, saved_by, reason) VALUES ($1, $2, $3, $4) RETURNING version",
        Json(policy) as _,
        now,
        saved_by,
        reason,
    )
    .fetch_one(conn)
    .await?)
}
