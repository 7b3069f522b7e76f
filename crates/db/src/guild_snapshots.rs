//! A server as the bot last saw it: `guild_snapshots`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    hierarchy::{BotStanding, Fault, GuildRole, Permissions, check, check_kick},
    ids::{GuildId, RoleId},
};
use rolecall_queue::jobs::GuildObserved;

use crate::{
    Connection, DbError,
    convert::{Snowflake, from_json, to_json},
};

/// Keeps what the bot saw, unless something newer is there. Says whether it was kept.
pub async fn upsert_guild_snapshot(
    conn: &mut Connection,
    guild: &GuildObserved,
    observed_at: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO guild_snapshots (guild_id, observed_at, snapshot) VALUES ($1, $2, $3)
         ON CONFLICT (guild_id) DO UPDATE SET observed_at = excluded.observed_at, snapshot = excluded.snapshot
         WHERE guild_snapshots.observed_at <= excluded.observed_at",
        guild.guild_id.to_sql(),
        observed_at,
        to_json(guild)?,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The server as last seen, and when.
pub async fn find_guild_snapshot(
    conn: &mut Connection,
    guild_id: GuildId,
) -> Result<Option<(GuildObserved, DateTime<Utc>)>, DbError> {
    let row = sqlx::query!(
        "SELECT observed_at, snapshot FROM guild_snapshots WHERE guild_id = $1",
        guild_id.to_sql()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok((
            from_json("guild_snapshots", "snapshot", row.snapshot)?,
            row.observed_at,
        ))
    })
    .transpose()
}

/// Everything that keeps the bot from granting `roles` in the server as it was last seen.
pub fn setup_faults(guild: &GuildObserved, roles: &[RoleId]) -> Vec<Fault> {
    let observed: Vec<GuildRole> = guild
        .roles
        .iter()
        .map(|role| GuildRole {
            id: role.id,
            name: role.name.clone(),
            position: role.position,
            managed: role.managed,
            permissions: permissions(&role.permissions),
        })
        .collect();
    check(guild.guild_id, &observed, &bot(guild), roles)
}

/// What keeps the bot from removing people from the server as it was last seen.
pub fn kick_fault(guild: &GuildObserved) -> Option<Fault> {
    check_kick(&bot(guild))
}

fn bot(guild: &GuildObserved) -> BotStanding {
    BotStanding::observed(permissions(&guild.bot_permissions), guild.bot_top_position)
}

/// Bits that cannot be read allow nothing, which shows as a fault and not as silence.
fn permissions(bits: &str) -> Permissions {
    bits.parse().unwrap_or_default()
}
