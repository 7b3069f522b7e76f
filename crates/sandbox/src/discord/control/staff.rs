//! What a server's staff does, without the bot.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::discord::{
    control::ActionError,
    ids::Snowflake,
    state::{
        World,
        audit::{Actor, AuditAction},
        membership::RoleChange,
        roles::NewRole,
    },
};

/// An action of staff, who acts as the guild's owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum StaffAction {
    /// Staff kicks a member.
    Kick {
        /// Where.
        guild: Snowflake,
        /// Whom.
        user: Snowflake,
    },
    /// Staff bans a user.
    Ban {
        /// Where.
        guild: Snowflake,
        /// Whom.
        user: Snowflake,
    },
    /// Staff lifts a ban.
    Unban {
        /// Where.
        guild: Snowflake,
        /// Whose.
        user: Snowflake,
    },
    /// Staff gives a role.
    GiveRole {
        /// Where.
        guild: Snowflake,
        /// To whom.
        user: Snowflake,
        /// Which.
        role: Snowflake,
    },
    /// Staff takes a role.
    TakeRole {
        /// Where.
        guild: Snowflake,
        /// From whom.
        user: Snowflake,
        /// Which.
        role: Snowflake,
    },
    /// Staff makes a role, at the bottom of the list.
    CreateRole {
        /// Where.
        guild: Snowflake,
        /// Its name.
        name: String,
        /// Its permission bits.
        #[serde(default)]
        permissions: u64,
        /// Whether an integration owns it.
        #[serde(default)]
        managed: bool,
    },
    /// Staff deletes a role.
    DeleteRole {
        /// Where.
        guild: Snowflake,
        /// Which.
        role: Snowflake,
    },
    /// Staff moves a role; 1 is the lowest position.
    MoveRole {
        /// Where.
        guild: Snowflake,
        /// Which.
        role: Snowflake,
        /// Where to.
        position: i64,
    },
    /// Staff changes what a role permits.
    SetRolePermissions {
        /// Where.
        guild: Snowflake,
        /// Which.
        role: Snowflake,
        /// All its permission bits.
        permissions: u64,
    },
    /// Staff switches membership screening.
    SetScreening {
        /// Where.
        guild: Snowflake,
        /// On or off.
        enabled: bool,
    },
}

impl StaffAction {
    /// The guild that it is about.
    const fn guild(&self) -> Snowflake {
        match self {
            Self::Kick { guild, .. }
            | Self::Ban { guild, .. }
            | Self::Unban { guild, .. }
            | Self::GiveRole { guild, .. }
            | Self::TakeRole { guild, .. }
            | Self::CreateRole { guild, .. }
            | Self::DeleteRole { guild, .. }
            | Self::MoveRole { guild, .. }
            | Self::SetRolePermissions { guild, .. }
            | Self::SetScreening { guild, .. } => *guild,
        }
    }
}

impl World {
    /// Does it; answers with the id of what was made.
    pub(crate) fn act_as_staff(
        &mut self,
        action: StaffAction,
        now: DateTime<Utc>,
    ) -> Result<Option<u64>, ActionError> {
        let guild = action.guild().0;
        let staff = Actor::new(self.guild(guild)?.owner);
        match action {
            StaffAction::Kick { user, .. } => {
                self.leave(guild, user.0, Some((&staff, AuditAction::MemberKick)), now)?;
            }
            StaffAction::Ban { user, .. } => self.ban(guild, user.0, &staff, now)?,
            StaffAction::Unban { user, .. } => self.unban(guild, user.0, &staff, now)?,
            StaffAction::GiveRole { user, role, .. } => {
                self.staff_changes(RoleChange::give(guild, user.0, role.0), &staff, now)?;
            }
            StaffAction::TakeRole { user, role, .. } => {
                self.staff_changes(RoleChange::take(guild, user.0, role.0), &staff, now)?;
            }
            StaffAction::CreateRole {
                name,
                permissions,
                managed,
                ..
            } => {
                let new = NewRole {
                    name,
                    permissions,
                    managed,
                    color: 0,
                };
                return Ok(Some(self.create_role(guild, new, &staff, now)?));
            }
            StaffAction::DeleteRole { role, .. } => self.delete_role(guild, role.0, &staff, now)?,
            StaffAction::MoveRole { role, position, .. } => {
                self.move_role(guild, role.0, position, &staff, now)?;
            }
            StaffAction::SetRolePermissions {
                role, permissions, ..
            } => {
                self.set_role_permissions(guild, role.0, permissions, &staff, now)?;
            }
            StaffAction::SetScreening { enabled, .. } => self.guild_mut(guild)?.screening = enabled,
        }
        Ok(None)
    }

    fn staff_changes(
        &mut self,
        change: RoleChange,
        staff: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), ActionError> {
        self.guild(change.guild)?
            .require_assignable(staff.user, change.role)?;
        Ok(self.change_role(change, staff, now)?)
    }
}
