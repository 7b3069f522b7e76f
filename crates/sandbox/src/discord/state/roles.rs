//! The roles of a server: made, moved, changed, deleted; every change is told to the gateway.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::discord::{
    error::ApiError,
    state::{
        World,
        audit::{Act, Actor, AuditAction},
        guild::{Guild, Role},
    },
};

/// What a new role is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRole {
    pub(crate) name: String,
    pub(crate) color: u32,
    pub(crate) permissions: u64,
    pub(crate) managed: bool,
}

impl World {
    /// Makes a role at the bottom of the list, where Discord puts new ones.
    pub(crate) fn create_role(
        &mut self,
        guild_id: u64,
        new: NewRole,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<u64, ApiError> {
        let id = self.ids.snowflake(now);
        let guild = self.guild_mut(guild_id)?;
        let NewRole {
            name,
            color,
            permissions,
            managed,
        } = new;
        let before = guild.positions();
        guild.roles.insert(
            id,
            Role {
                id,
                name,
                color,
                permissions,
                position: 1,
                managed,
                bot: None,
            },
        );
        guild.move_role(id, 1)?;
        self.record(actor, Act::new(guild_id, AuditAction::RoleCreate, id), now);
        self.dispatch_role("GUILD_ROLE_CREATE", guild_id, id);
        self.dispatch_moved(guild_id, &before);
        Ok(id)
    }

    /// Puts a role at `position`, 1 being the lowest.
    pub(crate) fn move_role(
        &mut self,
        guild_id: u64,
        role: u64,
        position: i64,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let guild = self.guild_mut(guild_id)?;
        let before = guild.positions();
        guild.move_role(role, position)?;
        self.record(actor, Act::new(guild_id, AuditAction::RoleUpdate, role), now);
        self.dispatch_moved(guild_id, &before);
        Ok(())
    }

    /// Sets the permission bits of a role.
    pub(crate) fn set_role_permissions(
        &mut self,
        guild_id: u64,
        role_id: u64,
        permissions: u64,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let role = self
            .guild_mut(guild_id)?
            .roles
            .get_mut(&role_id)
            .ok_or_else(ApiError::unknown_role)?;
        role.permissions = permissions;
        self.record(actor, Act::new(guild_id, AuditAction::RoleUpdate, role_id), now);
        self.dispatch_role("GUILD_ROLE_UPDATE", guild_id, role_id);
        Ok(())
    }

    /// Deletes a role and takes it from everyone. Discord sends no member updates for that.
    pub(crate) fn delete_role(
        &mut self,
        guild_id: u64,
        role: u64,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let guild = self.guild_mut(guild_id)?;
        if role == guild_id {
            return Err(ApiError::invalid_role());
        }
        guild.roles.remove(&role).ok_or_else(ApiError::unknown_role)?;
        for member in guild.members.values_mut() {
            member.roles.remove(&role);
        }
        self.record(actor, Act::new(guild_id, AuditAction::RoleDelete, role), now);
        self.dispatch_role_delete(guild_id, role);
        Ok(())
    }

    /// Tells of every role whose position changed: a move shifts the others.
    fn dispatch_moved(&mut self, guild_id: u64, before: &BTreeMap<u64, i64>) {
        let after = self
            .guilds
            .get(&guild_id)
            .map(Guild::positions)
            .unwrap_or_default();
        for (role, position) in after {
            if before.get(&role).is_some_and(|old| *old != position) {
                self.dispatch_role("GUILD_ROLE_UPDATE", guild_id, role);
            }
        }
    }
}
