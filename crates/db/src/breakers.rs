//! Roles that the bot cannot write until the owner mends the server: `role_breakers`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{GuildId, RoleId};

use crate::{Connection, DbError, convert::Snowflake};

/// Why a role cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Discord's error code.
    pub code: i64,
    /// In words, with what mends it.
    pub message: String,
    /// Since when.
    pub opened_at: DateTime<Utc>,
}

/// Opens the breaker of a role. Says whether it was closed before: then staff is told, once.
pub async fn open_breaker(
    conn: &mut Connection,
    guild_id: GuildId,
    role_id: RoleId,
    breaker: &Breaker,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO role_breakers (guild_id, role_id, code, message, opened_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (guild_id, role_id) DO NOTHING",
        guild_id.to_sql(),
        role_id.to_sql(),
        breaker.code,
        breaker.message,
        breaker.opened_at,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The open breakers of a server.
pub async fn list_breakers(
    conn: &mut Connection,
    guild_id: GuildId,
) -> Result<BTreeMap<RoleId, Breaker>, DbError> {
    let rows = sqlx::query!(
        "SELECT role_id, code, message, opened_at FROM role_breakers WHERE guild_id = $1",
        guild_id.to_sql()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let role = RoleId::from_sql("role_breakers", "role_id", row.role_id)?;
            Ok((
                role,
                Breaker {
                    code: row.code,
                    message: row.message,
                    opened_at: row.opened_at,
                },
            ))
        })
        .collect()
}

/// Closes breakers: what kept the roles from being written is mended. Returns how many were open.
pub async fn close_breakers(
    conn: &mut Connection,
    guild_id: GuildId,
    roles: &[RoleId],
) -> Result<u64, DbError> {
    let roles: Vec<i64> = roles.iter().map(|role| role.to_sql()).collect();
    let done = sqlx::query!(
        "DELETE FROM role_breakers WHERE guild_id = $1 AND role_id = ANY($2)",
        guild_id.to_sql(),
        &roles
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
