//! The audit log.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::discord::{ids::Snowflake, state::World};

/// What was done, with Discord's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// A member was kicked (20).
    MemberKick,
    /// A member was banned (22).
    MemberBanAdd,
    /// A ban was lifted (23).
    MemberBanRemove,
    /// A member was renamed (24).
    MemberUpdate,
    /// Roles of a member changed (25).
    MemberRoleUpdate,
    /// A role was made (30).
    RoleCreate,
    /// A role was changed or moved (31).
    RoleUpdate,
    /// A role was deleted (32).
    RoleDelete,
}

impl AuditAction {
    /// Discord's number for it.
    pub const fn number(self) -> u8 {
        match self {
            Self::MemberKick => 20,
            Self::MemberBanAdd => 22,
            Self::MemberBanRemove => 23,
            Self::MemberUpdate => 24,
            Self::MemberRoleUpdate => 25,
            Self::RoleCreate => 30,
            Self::RoleUpdate => 31,
            Self::RoleDelete => 32,
        }
    }
}

/// A line of a guild's audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// The entry's id.
    pub id: Snowflake,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Where.
    pub guild: Snowflake,
    /// By whom.
    pub actor: Snowflake,
    /// What.
    pub action: AuditAction,
    /// To which member or role.
    pub target: Snowflake,
    /// Roles that a member was given.
    pub added: Vec<Snowflake>,
    /// Roles that a member lost.
    pub removed: Vec<Snowflake>,
    /// `X-Audit-Log-Reason`, decoded.
    pub reason: Option<String>,
}

/// Who acts, and what they say about it.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    pub(crate) user: u64,
    pub(crate) reason: Option<String>,
}

impl Actor {
    pub(crate) fn new(user: u64) -> Self {
        Self { user, reason: None }
    }
}

/// An entry before it is numbered and dated.
#[derive(Debug)]
pub(crate) struct Act {
    pub(crate) guild: u64,
    pub(crate) action: AuditAction,
    pub(crate) target: u64,
    pub(crate) added: Vec<u64>,
    pub(crate) removed: Vec<u64>,
}

impl Act {
    pub(crate) fn new(guild: u64, action: AuditAction, target: u64) -> Self {
        Self {
            guild,
            action,
            target,
            added: Vec::new(),
            removed: Vec::new(),
        }
    }
}

impl World {
    pub(crate) fn record(&mut self, actor: &Actor, act: Act, now: DateTime<Utc>) {
        let id = self.ids.snowflake(now).into();
        self.audit.push(AuditEntry {
            id,
            at: now,
            guild: act.guild.into(),
            actor: actor.user.into(),
            action: act.action,
            target: act.target.into(),
            added: act.added.into_iter().map(Snowflake).collect(),
            removed: act.removed.into_iter().map(Snowflake).collect(),
            reason: actor.reason.clone(),
        });
    }
}
