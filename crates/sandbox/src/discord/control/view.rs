//! The simulated world as JSON and as plain values, for tests to look at.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::discord::{
    faults::Fault,
    gateway::{GatewaySwitches, log::GatewayEntry},
    ids::Snowflake,
    state::{World, guild::Guild, permissions},
};

/// Everything about accounts and servers.
#[derive(Debug, Clone, Serialize)]
pub struct StateView {
    /// All accounts, the bot included.
    pub users: Vec<UserView>,
    /// All servers.
    pub guilds: Vec<GuildView>,
    /// Faults of the API that are on.
    pub faults: Vec<Fault>,
    /// 401, 403 and 429 answers of the last ten minutes.
    pub invalid_requests: usize,
}

/// An account.
#[derive(Debug, Clone, Serialize)]
pub struct UserView {
    /// The id.
    pub id: Snowflake,
    /// The unique name.
    pub username: String,
    /// The name shown.
    pub name: String,
    /// The address.
    pub email: Option<String>,
    /// Whether it is confirmed.
    pub verified: bool,
    /// Whether this is the bot.
    pub bot: bool,
    /// Whether they have let the application in.
    pub authorized: bool,
}

/// A server.
#[derive(Debug, Clone, Serialize)]
pub struct GuildView {
    /// The id.
    pub id: Snowflake,
    /// The name.
    pub name: String,
    /// Roles, the highest first, `@everyone` last.
    pub roles: Vec<RoleView>,
    /// The roles of each member.
    pub members: BTreeMap<Snowflake, MemberView>,
}

/// A role.
#[derive(Debug, Clone, Serialize)]
pub struct RoleView {
    /// The id.
    pub id: Snowflake,
    /// The name.
    pub name: String,
    /// The position; `@everyone` has 0.
    pub position: i64,
    /// Whether an integration owns it.
    pub managed: bool,
    /// Whether the bot can give it.
    pub within_reach: bool,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberView {
    /// Their roles, without `@everyone`.
    pub roles: Vec<Snowflake>,
    /// Whether they have not accepted the rules yet.
    pub pending: bool,
}

/// The gateway.
#[derive(Debug, Clone, Serialize)]
pub struct GatewayView {
    /// Open connections.
    pub connections: usize,
    /// Sessions with their state.
    pub sessions: Vec<SessionView>,
    /// IDENTIFYs left of the day.
    pub identifies_remaining: u32,
    /// Faults that are on.
    pub switches: GatewaySwitches,
    /// What happened.
    pub log: Vec<GatewayEntry>,
}

/// A session.
#[derive(Debug, Clone, Serialize)]
pub struct SessionView {
    /// The id.
    pub id: String,
    /// The intents asked for.
    pub intents: u64,
    /// The number of the last event.
    pub sequence: u64,
    /// Whether a connection carries it.
    pub connected: bool,
}

impl World {
    pub(crate) fn state_view(&mut self) -> StateView {
        let users = self.users.values().map(|user| UserView {
            id: user.id.into(),
            username: user.username.clone(),
            name: user.display_name().to_owned(),
            email: user.email.clone(),
            verified: user.verified,
            bot: user.bot,
            authorized: self.grants.has_consent(user.id),
        });
        StateView {
            users: users.collect(),
            guilds: self
                .guilds
                .values()
                .map(|guild| guild_view(guild, self.bot()))
                .collect(),
            faults: self.faults.list().to_vec(),
            invalid_requests: self.limiter.invalid_requests(std::time::Instant::now()),
        }
    }

    pub(crate) fn gateway_view(&self) -> GatewayView {
        let sessions = self.gateway.sessions.values().map(|session| SessionView {
            id: session.id.clone(),
            intents: session.intents,
            sequence: session.sequence,
            connected: session.connection.is_some(),
        });
        GatewayView {
            connections: self.gateway.connections.len(),
            sessions: sessions.collect(),
            identifies_remaining: self.gateway.budget.remaining(),
            switches: self.gateway.switches,
            log: self.gateway.log.clone(),
        }
    }
}

fn guild_view(guild: &Guild, bot: u64) -> GuildView {
    let may_give = guild.require(bot, permissions::MANAGE_ROLES).is_ok();
    let roles = guild.ordered_roles().into_iter().map(|role| RoleView {
        id: role.id.into(),
        name: role.name.clone(),
        position: role.position,
        managed: role.managed,
        within_reach: may_give && guild.require_assignable(bot, role.id).is_ok(),
    });
    let members = guild.members.values().map(|member| {
        let roles = member.roles.iter().copied().map(Snowflake).collect();
        (
            Snowflake(member.user),
            MemberView {
                roles,
                pending: member.pending,
            },
        )
    });
    GuildView {
        id: guild.id.into(),
        name: guild.name.clone(),
        roles: roles.collect(),
        members: members.collect(),
    }
}
