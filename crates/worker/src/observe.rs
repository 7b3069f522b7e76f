//! What was seen of people and servers in Discord, kept beside what should be.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    breakers::{Breaker, close_breakers, list_breakers, open_breaker},
    guild_snapshots::{find_guild_snapshot, setup_faults, upsert_guild_snapshot},
    member_guilds::{
        GuildState, MemberGuild, Observation, lock_member_guild, set_converge_due_in_guild, set_observed,
    },
    member_roles::{MemberRole, Provenance, delete_settled, list_member_roles, set_role_observed},
    members::set_converge_due,
};
use rolecall_domain::{
    ids::{DiscordUserId, GuildId, MemberId, RoleId},
    trigger::Trigger,
};
use rolecall_queue::jobs::{GuildObserved, RoleOutcome, RoleResult};

use crate::{error::WorkError, timing::send_again_at};

/// By so much the clocks of two machines may differ, or a look be late, without anybody wondering.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::seconds(10);

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
    let at = no_later_than(now, outcome.at);
    let stale = match age(&row, outcome.at, now) {
        Age::New => false,
        Age::Old => true,
        // The first word of a new holder of the lease looked later, whatever its clock says.
        Age::Doubtful => fence <= row.fence,
    };
    if !newest && stale {
        return Ok(None);
    }
    let roles = list_member_roles(conn, row.guild_id, row.user_id).await?;
    let answer = Answer {
        outcome,
        newest,
        stale,
        first_sending: newest && row.sends <= 1,
    };
    let (state, blocked_reason, join_wanted, pending) = match &outcome.result {
        RoleResult::Applied {
            roles: seen, pending, ..
        } => {
            let settled = keep_roles(conn, &row, roles, seen, Some(&answer)).await?;
            let (state, reason) = judge(conn, &row, &settled).await?;
            (state, reason, row.join_wanted && !newest, *pending)
        }
        RoleResult::NotInGuild { .. } => {
            let settled = keep_roles(conn, &row, roles, &[], Some(&answer)).await?;
            (absent(&settled), None, row.join_wanted && !newest, false)
        }
        RoleResult::Blocked {
            code,
            roles: refused,
            message,
        } => {
            let refusal = Refusal {
                roles: refused,
                code: *code,
                message,
                at,
            };
            trip(conn, &row, &refusal, now).await?;
            // What was not refused, and not seen done either, is still to be done.
            let (state, reason) = match judge(conn, &row, &roles).await? {
                (GuildState::Due, _) if !refused.is_empty() => (GuildState::Due, None),
                _ => (GuildState::Blocked, Some(message.clone())),
            };
            (state, reason, row.join_wanted, row.screening_pending)
        }
        RoleResult::Failed { message } => {
            tracing::warn!(member.id = %row.member_id, guild.id = %row.guild_id, reason = message, "the bot gave a role command up; it stays due");
            (GuildState::Due, None, row.join_wanted, row.screening_pending)
        }
    };
    // Only the newest revision can settle anything; an older outcome is just another look.
    let (state, blocked_reason) = if newest {
        (state, blocked_reason)
    } else {
        (row.state, row.blocked_reason.clone())
    };
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
        observed_at: row.observed_at.filter(|_| stale).unwrap_or(at),
        fence,
        send_at: (state == GuildState::Due).then(|| send_again_at(now, row.sends)),
    };
    set_observed(conn, row.guild_id, row.user_id, &observation).await?;
    if newest {
        delete_settled(conn, row.guild_id, row.user_id).await?;
    }
    Ok(Some(row.member_id))
}

/// Keeps what the gateway showed of somebody. What follows from it is for the convergence to say.
pub async fn seen(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    sighting: &Sighting<'_>,
    now: DateTime<Utc>,
) -> Result<(), WorkError> {
    let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
        return Ok(());
    };
    match age(&row, sighting.at, now) {
        Age::New => {}
        Age::Old => return Ok(()),
        Age::Doubtful => return look_again(conn, &row, now).await,
    }
    let roles = list_member_roles(conn, guild_id, user_id).await?;
    keep_roles(conn, &row, roles, sighting.roles, None).await?;
    // Somebody who waited to be seen is here now.
    let state = if row.state == GuildState::WaitingForMember {
        GuildState::InSync
    } else {
        row.state
    };
    keep(
        conn,
        &row,
        state,
        sighting.pending,
        no_later_than(now, sighting.at),
    )
    .await
}

/// Keeps that somebody left. Returns who, if we know them.
pub async fn gone(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<MemberId>, WorkError> {
    let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
        return Ok(None);
    };
    match age(&row, at, now) {
        Age::New => {}
        Age::Old => return Ok(None),
        Age::Doubtful => {
            look_again(conn, &row, now).await?;
            return Ok(None);
        }
    }
    let roles = list_member_roles(conn, guild_id, user_id).await?;
    let settled = keep_roles(conn, &row, roles, &[], None).await?;
    // They left on their own: they are not pulled back in.
    let row = MemberGuild {
        join_wanted: false,
        ..row
    };
    keep(conn, &row, absent(&settled), false, no_later_than(now, at)).await?;
    if row.state != GuildState::Due {
        delete_settled(conn, guild_id, user_id).await?;
    }
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
    let mut states = Vec::new();
    if upsert_guild_snapshot(conn, guild, no_later_than(now, observed_at)).await? {
        let open = list_breakers(conn, guild.guild_id).await?;
        let mended = writable(guild, open.keys().copied().collect());
        let closed = close_breakers(conn, guild.guild_id, &mended).await?;
        // Without a refused role it was the invitation that was refused.
        if closed > 0 || open.is_empty() {
            states.push(GuildState::Blocked);
        }
    }
    // That is true of an older picture as well, and told only once.
    if guild.identified {
        // Whatever happened while the bot had no session was missed: people who came, and people who lost a role or
        // left and came back, who are thought to be in sync.
        states.extend([GuildState::WaitingForMember, GuildState::InSync]);
    }
    Ok(set_converge_due_in_guild(conn, guild.guild_id, &states, now).await?)
}

/// Those of the roles of which a server, as it was seen, keeps the bot from none.
fn writable(guild: &GuildObserved, mut roles: Vec<RoleId>) -> Vec<RoleId> {
    let faults = setup_faults(guild, &roles);
    // A fault without a role, such as a missing permission, concerns them all.
    let concerns = |role: &RoleId| {
        faults
            .iter()
            .any(|fault| fault.role().is_none_or(|named| named == *role))
    };
    roles.retain(|role| !concerns(role));
    roles
}

/// How a look stands to what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    /// It tells more.
    New,
    /// It tells less.
    Old,
    /// It is older by so much that the clock of the bot may be what is behind.
    Doubtful,
}

/// The times of looks are those of bots, whose clocks may differ. What was known later than now was never.
fn age(row: &MemberGuild, at: DateTime<Utc>, now: DateTime<Utc>) -> Age {
    match row.observed_at.filter(|known| *known <= now + CLOCKS_DIFFER) {
        Some(known) if at < known - CLOCKS_DIFFER => Age::Doubtful,
        Some(known) if at < known => Age::Old,
        _ => Age::New,
    }
}

/// A time by a bot's clock, if that is not ahead.
fn no_later_than(now: DateTime<Utc>, at: DateTime<Utc>) -> DateTime<Utc> {
    if at > now + CLOCKS_DIFFER { now } else { at }
}

/// Has the bot look at somebody, where it cannot be told which of two looks was the later one.
async fn look_again(conn: &mut Connection, row: &MemberGuild, now: DateTime<Utc>) -> Result<(), WorkError> {
    Ok(set_converge_due(conn, row.member_id, Trigger::GuildMended, now).await?)
}

/// The bot's answer to a command: what decides who gave a role.
struct Answer<'a> {
    outcome: &'a RoleOutcome,
    newest: bool,
    /// Something newer was seen meanwhile.
    stale: bool,
    /// No earlier sending of the command can have given the roles.
    first_sending: bool,
}

impl Answer<'_> {
    /// A role that was there before we ever asked for it is somebody else's. Where that is not sure it
    /// counts as ours: a role that stays after its membership ended would be the worse mistake.
    fn provenance(&self, role: &MemberRole) -> Provenance {
        let before = match &self.outcome.result {
            RoleResult::Applied { already, .. } => already.contains(&role.role_id),
            _ => false,
        };
        let first = self.first_sending && role.first_revision == Some(self.outcome.revision);
        if before && first {
            Provenance::Foreign
        } else {
            Provenance::Ours
        }
    }
}

/// Keeps what was seen of each role. Only the answer to a command can tell who gave it: a sighting may
/// come before the command was carried out, or after.
async fn keep_roles(
    conn: &mut Connection,
    row: &MemberGuild,
    roles: Vec<MemberRole>,
    seen: &[RoleId],
    answer: Option<&Answer<'_>>,
) -> Result<Vec<MemberRole>, WorkError> {
    // While a command is under way it may yet give what is not there now, and that would be ours.
    let nothing_under_way = answer.map_or(row.state != GuildState::Due, |answer| answer.newest);
    let mut settled = Vec::with_capacity(roles.len());
    for before in roles {
        let mut after = before.clone();
        let present = seen.contains(&before.role_id);
        if !answer.is_some_and(|answer| answer.stale) {
            after.observed = Some(present);
        }
        if !present && before.desired {
            // Asked for and not called off: whoever brings it back (a command that came late, a bot that
            // restores the roles of those who return), it is ours. What staff had given is gone.
            after.provenance = before.provenance.filter(|given| *given == Provenance::Ours);
        } else if !present {
            after.provenance = None;
            if nothing_under_way {
                after.first_revision = None;
            }
        } else if let Some(answer) = answer
            && after.provenance.is_none()
            && after.first_revision.is_some()
        {
            after.provenance = Some(answer.provenance(&before));
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

/// Roles that a server refused.
struct Refusal<'a> {
    roles: &'a [RoleId],
    /// Discord's.
    code: i64,
    message: &'a str,
    at: DateTime<Utc>,
}

/// Opens the breakers of the roles that the server refused; staff is told once. Nothing would close that of a role
/// which the server was seen to be mended for since.
async fn trip(
    conn: &mut Connection,
    row: &MemberGuild,
    refusal: &Refusal<'_>,
    now: DateTime<Utc>,
) -> Result<(), WorkError> {
    let Refusal { code, message, .. } = *refusal;
    let seen = find_guild_snapshot(conn, row.guild_id).await?;
    let mended = match seen.filter(|(_, seen_at)| *seen_at > refusal.at) {
        Some((guild, _)) => writable(&guild, refusal.roles.to_vec()),
        None => Vec::new(),
    };
    let breaker = Breaker {
        code,
        message: message.to_owned(),
        opened_at: now,
    };
    for role in refusal.roles.iter().filter(|role| !mended.contains(role)) {
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
