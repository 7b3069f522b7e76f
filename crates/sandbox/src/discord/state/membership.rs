//! Who is in which server, and with which roles; every change is told to the gateway.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::discord::{
    error::ApiError,
    state::{
        World,
        audit::{Act, Actor, AuditAction},
        guild::Member,
    },
};

/// One role to give or to take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoleChange {
    pub(crate) guild: u64,
    pub(crate) user: u64,
    pub(crate) role: u64,
    pub(crate) give: bool,
}

impl RoleChange {
    /// The member is to have the role.
    pub(crate) const fn give(guild: u64, user: u64, role: u64) -> Self {
        Self {
            guild,
            user,
            role,
            give: true,
        }
    }

    /// The member is not to have the role.
    pub(crate) const fn take(guild: u64, user: u64, role: u64) -> Self {
        Self {
            give: false,
            ..Self::give(guild, user, role)
        }
    }
}

impl World {
    /// Lets a user into a guild. `false` if they are in already: then nothing changes.
    pub(crate) fn join(
        &mut self,
        guild_id: u64,
        user: u64,
        roles: BTreeSet<u64>,
        now: DateTime<Utc>,
    ) -> Result<bool, ApiError> {
        self.user(user)?;
        let guild = self.guild_mut(guild_id)?;
        if guild.bans.contains(&user) {
            return Err(ApiError::banned());
        }
        if guild.members.contains_key(&user) {
            return Ok(false);
        }
        let mut member = Member::new(user, roles, now);
        // A member who starts with a role has passed the screening by that.
        member.pending = guild.screening && member.roles.is_empty();
        member.flags = u32::from(guild.former.contains(&user));
        guild.members.insert(user, member);
        if user == self.bot() {
            self.dispatch_guild_create(guild_id);
        } else {
            self.dispatch_member_add(guild_id, user);
        }
        Ok(true)
    }

    /// A member accepts the rules.
    pub(crate) fn pass_screening(&mut self, guild: u64, user: u64) -> Result<(), ApiError> {
        self.guild_mut(guild)?.member_mut(user)?.pending = false;
        self.dispatch_member_update(guild, user);
        Ok(())
    }

    /// Removes a member; `how` is `None` when they left by themselves.
    pub(crate) fn leave(
        &mut self,
        guild_id: u64,
        user: u64,
        how: Option<(&Actor, AuditAction)>,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let guild = self.guild_mut(guild_id)?;
        guild.members.remove(&user).ok_or_else(ApiError::unknown_member)?;
        guild.former.insert(user);
        if let Some((actor, action)) = how {
            self.record(actor, Act::new(guild_id, action, user), now);
        }
        if user == self.bot() {
            self.dispatch_guild_delete(guild_id);
        } else {
            self.dispatch_member_remove(guild_id, user);
        }
        Ok(())
    }

    /// Bans a user, who need not be a member.
    pub(crate) fn ban(
        &mut self,
        guild_id: u64,
        user: u64,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        self.user(user)?;
        let guild = self.guild_mut(guild_id)?;
        guild.bans.insert(user);
        if guild.members.contains_key(&user) {
            return self.leave(guild_id, user, Some((actor, AuditAction::MemberBanAdd)), now);
        }
        self.record(actor, Act::new(guild_id, AuditAction::MemberBanAdd, user), now);
        Ok(())
    }

    /// Lifts a ban.
    pub(crate) fn unban(
        &mut self,
        guild_id: u64,
        user: u64,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        if self.guild_mut(guild_id)?.bans.remove(&user) {
            self.record(actor, Act::new(guild_id, AuditAction::MemberBanRemove, user), now);
        }
        Ok(())
    }

    /// Gives or takes a role after all checks. No event and no audit entry if nothing changes.
    pub(crate) fn change_role(
        &mut self,
        change: RoleChange,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let RoleChange {
            guild,
            user,
            role,
            give,
        } = change;
        let member = self.guild_mut(guild)?.member_mut(user)?;
        let changed = if give {
            member.roles.insert(role)
        } else {
            member.roles.remove(&role)
        };
        if changed {
            let mut act = Act::new(guild, AuditAction::MemberRoleUpdate, user);
            if give {
                act.added.push(role);
            } else {
                act.removed.push(role);
            }
            self.record(actor, act, now);
            self.dispatch_member_update(guild, user);
        }
        Ok(())
    }

    /// Replaces all roles of a member, as PATCH does.
    pub(crate) fn replace_roles(
        &mut self,
        guild: u64,
        user: u64,
        roles: &BTreeSet<u64>,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let member = self.guild_mut(guild)?.member_mut(user)?;
        let before = std::mem::replace(&mut member.roles, roles.clone());
        if before != *roles {
            let mut act = Act::new(guild, AuditAction::MemberRoleUpdate, user);
            act.added = roles.difference(&before).copied().collect();
            act.removed = before.difference(roles).copied().collect();
            self.record(actor, act, now);
            self.dispatch_member_update(guild, user);
        }
        Ok(())
    }

    /// Deletes an account: it leaves every server and its grants end.
    pub(crate) fn remove_user(&mut self, user: u64, now: DateTime<Utc>) -> Result<(), ApiError> {
        self.user(user)?;
        let guilds: Vec<u64> = self
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&user))
            .map(|g| g.id)
            .collect();
        for guild in guilds {
            self.leave(guild, user, None, now)?;
        }
        self.grants.revoke_user(user);
        self.users.remove(&user);
        Ok(())
    }
}
