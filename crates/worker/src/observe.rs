//! What was seen of people and servers in Discord, kept beside what should be.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    breakers::{Breaker, close_breakers, list_breakers, open_breaker},
    guild_snapshots::{setup_faults, upsert_guild_snapshot},
    member_guilds::{
        GuildState, MemberGuild, Observation, lock_member_guild, set_converge_due_in_guild, set_observed,
    },
    member_roles::{MemberRole, Provenance, delete_settled, list_member_roles, set_role_observed},
};
use rolecall_domain::ids::{DiscordUserId, GuildId, MemberId, RoleId};
use rolecall_queue::jobs::{GuildObserved, RoleOutcome, RoleResult};

use crate::{error::WorkError, timing::send_again_at};

/// Somebody as they were seen in a server.
pub struct Sighting<'a> {
    /// All their roles.
    pub roles: &'a [RoleId],
    /// Membership screening is not done yet.
    pub pending: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// Keeps the outcome of a role command. Returns whose it was, if anything is known of them.
pub async fn outcome(
    conn: &mut Connection,
    outcome: &RoleOutcome,
    now: DateTime<Utc>,
) -> Result<Option<MemberId>, WorkError> {
    let Some(row) = lock_member_guild(conn, outcome.guild_id, outcome.user_id).await? else {
        return Ok(None);
    };
    let fence = i64::try_from(outcome.fence).unwrap_or(i64::MAX);
    if fence < row.fence {
        // A bot that lost its lease meanwhile: the one after it has looked since.
        return Ok(None);
    }
    let newest = outcome.revision >= row.revision;
    if !newest && is_stale(&row, outcome.at) {
        return Ok(None);
    }
    let roles = list_member_roles(conn, row.guild_id, row.user_id).await?;
    let first_sending = row.sends <= 1;
    let (state, blocked_reason, join_wanted, pending) = match &outcome.result {
        RoleResult::Applied {
            roles: seen,
            already,
            pending,
            ..
        } => {
            let sight = Sight {
                seen,
                already,
                revision: outcome.revision,
                first_sending,
            };
            let settled = keep_roles(conn, &row, roles, Some(&sight)).await?;
            let (state, reason) = judge(conn, &row, &settled).await?;
            (state, reason, row.join_wanted && !newest, *pending)
        }
        RoleResult::NotInGuild => {
            let settled = keep_roles(conn, &row, roles, None).await?;
            (absent(&settled), None, row.join_wanted && !newest, false)
        }
        RoleResult::Blocked {
            code,
            roles: refused,
            message,
        } => {
            trip(conn, &row, *code, refused, message, now).await?;
            (
                GuildState::Blocked,
                Some(message.clone()),
                row.join_wanted,
                row.screening_pending,
            )
        }
        RoleResult::Failed { message } => {
            tracing::warn!(member.id = %row.member_id, guild.id = %row.guild_id, reason = message, "the bot gave a role command up; it stays due");
            (GuildState::Due, None, row.join_wanted, row.screening_pending)
        }
    };
    // Only the newest revision can settle anything; an older outcome is just another look.
    let state = if newest { state } else { row.state };
    let observation = Observation {
        state,
        blocked_reason: blocked_reason.as_deref(),
        applied_revision: if state == GuildState::InSync {
            outcome.revision
        } else {
            row.applied_revision
        },
        join_wanted,
        screening_pending: pending,
        observed_at: outcome.at,
        fence,
        send_at: (state == GuildState::Due).then(|| send_again_at(now, row.sends)),
    };
    set_observed(conn, row.guild_id, row.user_id, &observation).await?;
    delete_settled(conn, row.guild_id, row.user_id).await?;
    Ok(Some(row.member_id))
}

/// Keeps what the gateway showed of somebody. What follows from it is for the convergence to say.
pub async fn seen(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    sighting: &Sighting<'_>,
) -> Result<(), WorkError> {
    let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
        return Ok(());
    };
    if is_stale(&row, sighting.at) {
        return Ok(());
    }
    let roles = list_member_roles(conn, guild_id, user_id).await?;
    let sight = Sight {
        seen: sighting.roles,
        already: &[],
        revision: 0,
        first_sending: false,
    };
    keep_roles(conn, &row, roles, Some(&sight)).await?;
    // Somebody who waited to be seen is here now.
    let state = if row.state == GuildState::WaitingForMember {
        GuildState::InSync
    } else {
        row.state
    };
    keep(conn, &row, state, sighting.pending, sighting.at).await
}

/// Keeps that somebody left. Returns who, if we know them.
pub async fn gone(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    at: DateTime<Utc>,
) -> Result<Option<MemberId>, WorkError> {
    let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
        return Ok(None);
    };
    if is_stale(&row, at) {
        return Ok(None);
    }
    let roles = list_member_roles(conn, guild_id, user_id).await?;
    let settled = keep_roles(conn, &row, roles, None).await?;
    // They left on their own: they are not pulled back in.
    let row = MemberGuild {
        join_wanted: false,
        ..row
    };
    keep(conn, &row, absent(&settled), false, at).await?;
    delete_settled(conn, guild_id, user_id).await?;
    Ok(Some(row.member_id))
}

/// Keeps what a server looks like, and closes the breakers of roles that can be written again. Returns
/// how many people are owed a convergence for it.
pub async fn guild(
    conn: &mut Connection,
    guild: &GuildObserved,
    observed_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<u64, WorkError> {
    if !upsert_guild_snapshot(conn, guild, observed_at).await? {
        return Ok(0);
    }
    let open = list_breakers(conn, guild.guild_id).await?;
    let roles: Vec<RoleId> = open.keys().copied().collect();
    let faults = setup_faults(guild, &roles);
    // A fault without a role, such as a missing permission, concerns them all.
    let faulty = |role: &RoleId| {
        faults
            .iter()
            .any(|fault| fault.role().is_none_or(|named| named == *role))
    };
    let mended: Vec<RoleId> = roles.into_iter().filter(|role| !faulty(role)).collect();
    let closed = close_breakers(conn, guild.guild_id, &mended).await?;
    let mut states = Vec::new();
    if closed > 0 || (open.is_empty() && guild.identified) {
        states.push(GuildState::Blocked);
    }
    if guild.identified {
        // Joins may have been missed while the bot had no session.
        states.push(GuildState::WaitingForMember);
    }
    Ok(set_converge_due_in_guild(conn, guild.guild_id, &states, now).await?)
}

/// A look that tells less than what is known already.
fn is_stale(row: &MemberGuild, at: DateTime<Utc>) -> bool {
    row.observed_at.is_some_and(|known| at < known)
}

/// Somebody as the bot found and left them.
struct Sight<'a> {
    seen: &'a [RoleId],
    /// Roles that were there before the bot wrote.
    already: &'a [RoleId],
    revision: i64,
    /// No earlier command of this revision can have given them.
    first_sending: bool,
}

impl Sight<'_> {
    /// A role that was there before we ever asked for it is somebody else's. Where that is not sure it
    /// counts as ours: a role that stays after its membership ended would be the worse mistake.
    fn is_foreign(&self, role: &MemberRole) -> bool {
        self.first_sending
            && self.already.contains(&role.role_id)
            && role.first_revision == Some(self.revision)
    }
}

/// Keeps what was seen of each role; nothing seen means that the person is not there.
async fn keep_roles(
    conn: &mut Connection,
    row: &MemberGuild,
    roles: Vec<MemberRole>,
    sight: Option<&Sight<'_>>,
) -> Result<Vec<MemberRole>, WorkError> {
    let mut settled = Vec::with_capacity(roles.len());
    for before in roles {
        let present = sight.is_some_and(|sight| sight.seen.contains(&before.role_id));
        let mut after = before.clone();
        after.observed = Some(present);
        if !present {
            // Who gave it no longer matters, and the next command may be the first again.
            (after.provenance, after.first_revision) = (None, None);
        } else if after.provenance.is_none() && after.first_revision.is_some() {
            let foreign = sight.is_some_and(|sight| sight.is_foreign(&before));
            after.provenance = Some(if foreign {
                Provenance::Foreign
            } else {
                Provenance::Ours
            });
        }
        if after != before {
            set_role_observed(conn, row.guild_id, row.user_id, &after).await?;
        }
        settled.push(after);
    }
    Ok(settled)
}

/// Whether what was seen is what should be; if not, whether the server stands in the way.
async fn judge(
    conn: &mut Connection,
    row: &MemberGuild,
    roles: &[MemberRole],
) -> Result<(GuildState, Option<String>), WorkError> {
    let wrong: Vec<RoleId> = roles
        .iter()
        .filter(|role| !role.is_in_sync())
        .map(|role| role.role_id)
        .collect();
    if wrong.is_empty() {
        return Ok((GuildState::InSync, None));
    }
    let breakers = list_breakers(conn, row.guild_id).await?;
    if wrong.iter().all(|role| breakers.contains_key(role)) {
        let reason = wrong
            .iter()
            .find_map(|role| breakers.get(role))
            .map(|breaker| breaker.message.clone());
        return Ok((GuildState::Blocked, reason));
    }
    Ok((GuildState::Due, None))
}

fn absent(roles: &[MemberRole]) -> GuildState {
    if roles.iter().any(|role| role.desired) {
        GuildState::WaitingForMember
    } else {
        GuildState::InSync
    }
}

/// Opens the breakers of the roles that the server refused; staff is told once.
async fn trip(
    conn: &mut Connection,
    row: &MemberGuild,
    code: i64,
    refused: &[RoleId],
    message: &str,
    now: DateTime<Utc>,
) -> Result<(), WorkError> {
    let breaker = Breaker {
        code,
        message: message.to_owned(),
        opened_at: now,
    };
    for role in refused {
        if open_breaker(conn, row.guild_id, *role, &breaker).await? {
            tracing::error!(guild.id = %row.guild_id, role.id = %role, discord.code = code, reason = message, "Discord refuses a role; nobody gets it until the server is mended");
        }
    }
    Ok(())
}

async fn keep(
    conn: &mut Connection,
    row: &MemberGuild,
    state: GuildState,
    pending: bool,
    at: DateTime<Utc>,
) -> Result<(), WorkError> {
    let observation = Observation {
        state,
        blocked_reason: row
            .blocked_reason
            .as_deref()
            .filter(|_| state == GuildState::Blocked),
        applied_revision: row.applied_revision,
        join_wanted: row.join_wanted,
        screening_pending: pending,
        observed_at: at,
        fence: row.fence,
        send_at: if state == GuildState::Due {
            row.send_at
        } else {
            None
        },
    };
    Ok(set_observed(conn, row.guild_id, row.user_id, &observation).await?)
}
