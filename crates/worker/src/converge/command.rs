//! A role command from its due row: complete, so that the newest one alone is enough.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    breakers::{Breaker, list_breakers},
    discord_accounts::find_tokens,
    member_guilds::{GuildState, MemberGuild, lock_member_guild},
    member_roles::{MemberRole, list_member_roles, set_first_revision},
};
use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use rolecall_queue::jobs::ApplyRoles;

use crate::error::WorkError;

/// The command that makes the newest revision of a row so.
pub async fn build(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    now: DateTime<Utc>,
) -> Result<Option<ApplyRoles>, WorkError> {
    let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
        return Ok(None);
    };
    set_first_revision(conn, guild_id, user_id, row.revision).await?;
    let roles = list_member_roles(conn, guild_id, user_id).await?;
    let breakers = list_breakers(conn, guild_id).await?;
    of(conn, row, &roles, &breakers, now).await.map(Some)
}

/// The same for a row that was locked in this transaction, and whose roles were all asked for. Roles behind an open
/// breaker are left out: the server would refuse them again.
pub(super) async fn of(
    conn: &mut Connection,
    row: MemberGuild,
    roles: &[MemberRole],
    breakers: &BTreeMap<RoleId, Breaker>,
    now: DateTime<Utc>,
) -> Result<ApplyRoles, WorkError> {
    let pick = |wanted: fn(&MemberRole) -> bool| -> Vec<RoleId> {
        let open = roles
            .iter()
            .filter(|role| wanted(role) && !breakers.contains_key(&role.role_id));
        open.map(|role| role.role_id).collect()
    };
    let add = pick(|role| role.desired);
    let tokens = if row.join_wanted && !add.is_empty() {
        find_tokens(conn, row.member_id).await?
    } else {
        None
    };
    let token = tokens.filter(|tokens| now < tokens.expires_at);
    Ok(ApplyRoles {
        guild_id: row.guild_id,
        user_id: row.user_id,
        add,
        remove: pick(MemberRole::must_go),
        revision: row.revision,
        lane: row.lane,
        reason: row.reason,
        join: token.map(|tokens| tokens.access_sealed),
        probe: false,
        kick: row.kick_due_at.filter(|_| row.state == GuildState::Due),
    })
}
