//! Why a person has the roles they have: the derivation, read as a whole for staff and members.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rolecall_domain::{
    ids::{DiscordUserId, GuildId, MemberId, RoleId},
    roles::Reason,
    standing::Standing,
};
use serde::Serialize;

use crate::{
    Connection, DbError,
    discord_accounts::find_account_of,
    member_guilds::{MemberGuild, list_member_guilds},
    member_records::load_member_record,
    member_roles::{MemberRole, list_member_roles},
    members::find_member,
};

/// The derivation of a person's roles. Its JSON is a contract: `rolecall why --json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Who.
    pub member: WhyMember,
    /// The person summed up in one word.
    pub standing: Option<&'static str>,
    /// Server by server.
    pub guilds: Vec<WhyGuild>,
}

/// Who it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyMember {
    /// Our id.
    pub id: MemberId,
    /// The linked Discord account.
    pub discord_user_id: Option<DiscordUserId>,
    /// The verified address.
    pub email: Option<String>,
}

/// A person in one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyGuild {
    /// The server.
    pub guild: GuildId,
    /// `in_sync`, `due`, `waiting_for_member`, `blocked` or `held`.
    pub state: &'static str,
    /// Why the server does not let us.
    pub blocked_reason: Option<String>,
    /// Role by role.
    pub roles: Vec<WhyRole>,
    /// The newest revision of what should be.
    pub revision: i64,
    /// The newest revision that was made so.
    pub applied_revision: i64,
    /// When the bot last looked.
    pub observed_at: Option<DateTime<Utc>>,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyRole {
    /// The role.
    pub role: RoleId,
    /// Whether they should have it.
    pub desired: bool,
    /// Whether they were last seen with it.
    pub observed: Option<bool>,
    /// Why they should have it.
    pub reasons: BTreeSet<Reason>,
}

impl From<MemberRole> for WhyRole {
    fn from(role: MemberRole) -> Self {
        Self {
            role: role.role_id,
            desired: role.desired,
            observed: role.observed,
            reasons: role.reasons,
        }
    }
}

/// Reads the derivation of a person's roles; `None` for nobody.
pub async fn find_why(
    conn: &mut Connection,
    member_id: MemberId,
    now: DateTime<Utc>,
) -> Result<Option<Why>, DbError> {
    let Some(member) = find_member(conn, member_id).await? else {
        return Ok(None);
    };
    let account = find_account_of(conn, member_id).await?;
    let mut guilds = Vec::new();
    for guild in list_member_guilds(conn, member_id).await? {
        let roles = list_member_roles(conn, guild.guild_id, guild.user_id).await?;
        guilds.push(why_guild(guild, roles));
    }
    Ok(Some(Why {
        member: WhyMember {
            id: member.id,
            discord_user_id: account.map(|account| account.user_id),
            email: member.email,
        },
        standing: find_standing(conn, member_id, now).await?.map(Standing::name),
        guilds,
    }))
}

/// The person summed up in one word, from what the last convergence derived.
pub async fn find_standing(
    conn: &mut Connection,
    member_id: MemberId,
    now: DateTime<Utc>,
) -> Result<Option<Standing>, DbError> {
    let facts = load_member_record(conn, member_id).await?.last_facts();
    Ok(facts.standing(now))
}

fn why_guild(guild: MemberGuild, roles: Vec<MemberRole>) -> WhyGuild {
    WhyGuild {
        guild: guild.guild_id,
        state: guild.state.as_str(),
        blocked_reason: guild.blocked_reason,
        roles: roles.into_iter().map(WhyRole::from).collect(),
        revision: guild.revision,
        applied_revision: guild.applied_revision,
        observed_at: guild.observed_at,
    }
}
