//! A server: its roles, and what the bot is in it.

use std::collections::BTreeMap;

use rolecall_domain::{
    hierarchy::{BotStanding, Fault, GuildRole, Untouchable, check, check_kick, may_kick},
    ids::{DiscordUserId, GuildId, RoleId},
};
use rolecall_queue::jobs::{GuildObserved, ObservedRole};

/// A server as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guild {
    pub(crate) name: String,
    pub(crate) roles: BTreeMap<RoleId, GuildRole>,
    /// The bot's roles; `None` while they are not known.
    pub(crate) bot_roles: Option<Vec<RoleId>>,
}

impl Guild {
    pub(crate) fn new(name: String, roles: Vec<GuildRole>, bot_roles: Option<Vec<RoleId>>) -> Self {
        let roles = roles.into_iter().map(|role| (role.id, role)).collect();
        let bot_roles = bot_roles.map(|mut roles: Vec<RoleId>| {
            roles.sort_unstable();
            roles
        });
        Self {
            name,
            roles,
            bot_roles,
        }
    }

    /// Whether enough is known to judge.
    pub(crate) fn is_complete(&self) -> bool {
        self.bot_roles.is_some()
    }

    pub(crate) fn role_name(&self, role: RoleId) -> Option<&str> {
        self.roles.get(&role).map(|role| role.name.as_str())
    }

    /// What keeps the bot from giving `mapped`. `None` if that is not known.
    pub(crate) fn faults(&self, guild_id: GuildId, mapped: &[RoleId]) -> Option<Vec<Fault>> {
        let roles = self.list();
        let standing = BotStanding::of(guild_id, &roles, self.bot_roles.as_ref()?);
        Some(check(guild_id, &roles, &standing, mapped))
    }

    /// What keeps the bot from removing people. `None` if nothing does, or that is not known.
    pub(crate) fn kick_fault(&self, guild_id: GuildId) -> Option<Fault> {
        let standing = BotStanding::of(guild_id, &self.list(), self.bot_roles.as_ref()?);
        check_kick(&standing)
    }

    /// Whether the bot may remove somebody with these roles. `None` if that is not known.
    pub(crate) fn may_remove(&self, guild_id: GuildId, held: &[RoleId]) -> Option<Result<(), Untouchable>> {
        let roles = self.list();
        let standing = BotStanding::of(guild_id, &roles, self.bot_roles.as_ref()?);
        Some(may_kick(&roles, &standing, held))
    }

    /// The server as the worker is told of it.
    pub(crate) fn observed(
        &self,
        guild_id: GuildId,
        bot: DiscordUserId,
        identified: bool,
    ) -> Option<GuildObserved> {
        let roles = self.list();
        let standing = BotStanding::of(guild_id, &roles, self.bot_roles.as_ref()?);
        let observed = |role: GuildRole| ObservedRole {
            id: role.id,
            name: role.name,
            position: role.position,
            managed: role.managed,
            permissions: role.permissions.to_string(),
        };
        Some(GuildObserved {
            guild_id,
            name: self.name.clone(),
            identified,
            bot_user_id: bot,
            bot_permissions: standing.permissions().to_string(),
            bot_top_position: standing.top_position(),
            roles: roles.into_iter().map(observed).collect(),
        })
    }

    fn list(&self) -> Vec<GuildRole> {
        self.roles.values().cloned().collect()
    }
}
