//! A server: its roles in order, its members, and who may give which role.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Utc};

use crate::discord::{
    config::GuildSeed,
    error::ApiError,
    state::permissions::{ADMINISTRATOR, EVERYONE},
};

/// A server.
#[derive(Debug)]
pub(crate) struct Guild {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) owner: u64,
    pub(crate) roles: BTreeMap<u64, Role>,
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) bans: BTreeSet<u64>,
    /// Who was a member once; they come back with the flag `DID_REJOIN`.
    pub(crate) former: BTreeSet<u64>,
    pub(crate) channels: Vec<u64>,
    pub(crate) screening: bool,
}

/// A role.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) color: u32,
    pub(crate) permissions: u64,
    pub(crate) position: i64,
    pub(crate) managed: bool,
    /// The bot that the role belongs to.
    pub(crate) bot: Option<u64>,
}

/// A member.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) user: u64,
    pub(crate) roles: BTreeSet<u64>,
    pub(crate) nick: Option<String>,
    pub(crate) joined_at: DateTime<Utc>,
    /// Has not accepted the rules yet.
    pub(crate) pending: bool,
    /// Member flags; bit 0 is `DID_REJOIN`.
    pub(crate) flags: u32,
}

impl Member {
    pub(crate) fn new(user: u64, roles: BTreeSet<u64>, joined_at: DateTime<Utc>) -> Self {
        Self {
            user,
            roles,
            nick: None,
            joined_at,
            pending: false,
            flags: 0,
        }
    }
}

/// Where a role stands: higher is greater; of two at one position the older one is higher.
pub(crate) type Rank = (i64, Reverse<u64>);

impl Role {
    pub(crate) fn rank(&self) -> Rank {
        (self.position, Reverse(self.id))
    }
}

impl Guild {
    pub(crate) fn from_seed(seed: &GuildSeed, bot: u64, now: DateTime<Utc>) -> Self {
        let everyone = Role {
            id: seed.id,
            name: "@everyone".to_owned(),
            color: 0,
            permissions: EVERYONE,
            position: 0,
            managed: false,
            bot: None,
        };
        let above = seed.roles.iter().zip(1..).map(|(role, position)| Role {
            id: role.id,
            name: role.name.clone(),
            color: role.color,
            permissions: role.permissions,
            position,
            managed: role.managed,
            bot: (role.managed && seed.bot_roles.contains(&role.id)).then_some(bot),
        });
        let people = seed
            .members
            .iter()
            .map(|(user, roles)| (*user, roles.iter().copied().collect()));
        let bot_member = (bot, seed.bot_roles.iter().copied().collect());
        Self {
            id: seed.id,
            name: seed.name.clone(),
            owner: seed.owner,
            roles: std::iter::once(everyone)
                .chain(above)
                .map(|role| (role.id, role))
                .collect(),
            members: people
                .chain(std::iter::once(bot_member))
                .map(|(user, roles)| (user, Member::new(user, roles, now)))
                .collect(),
            bans: BTreeSet::new(),
            former: BTreeSet::new(),
            channels: seed.channels.iter().map(|(id, _)| *id).collect(),
            screening: seed.membership_screening,
        }
    }

    pub(crate) fn role(&self, id: u64) -> Result<&Role, ApiError> {
        self.roles.get(&id).ok_or_else(ApiError::unknown_role)
    }

    pub(crate) fn member(&self, user: u64) -> Result<&Member, ApiError> {
        self.members.get(&user).ok_or_else(ApiError::unknown_member)
    }

    pub(crate) fn member_mut(&mut self, user: u64) -> Result<&mut Member, ApiError> {
        self.members.get_mut(&user).ok_or_else(ApiError::unknown_member)
    }

    /// Roles, the highest first, `@everyone` last.
    pub(crate) fn ordered_roles(&self) -> Vec<&Role> {
        let mut roles: Vec<&Role> = self.roles.values().collect();
        roles.sort_by_key(|role| Reverse(role.rank()));
        roles
    }

    /// The permission bits of a member; the owner and administrators have all.
    pub(crate) fn permissions(&self, user: u64) -> u64 {
        if user == self.owner {
            return u64::MAX;
        }
        let Some(member) = self.members.get(&user) else {
            return 0;
        };
        let held = member.roles.iter().chain(std::iter::once(&self.id));
        let bits = held
            .filter_map(|id| self.roles.get(id))
            .fold(0, |bits, role| bits | role.permissions);
        if bits & ADMINISTRATOR == 0 { bits } else { u64::MAX }
    }

    /// Refuses unless `actor` holds all of `permissions`.
    pub(crate) fn require(&self, actor: u64, permissions: u64) -> Result<(), ApiError> {
        if self.permissions(actor) & permissions == permissions {
            Ok(())
        } else {
            Err(ApiError::missing_permissions())
        }
    }

    /// The rank of a member's highest role; `None` for the owner, who is above all of them.
    pub(crate) fn top_rank(&self, user: u64) -> Option<Rank> {
        if user == self.owner {
            return None;
        }
        let held = self.members.get(&user).map(|member| &member.roles);
        let ranks = held
            .into_iter()
            .flatten()
            .filter_map(|id| self.roles.get(id))
            .map(Role::rank);
        Some(ranks.max().unwrap_or((0, Reverse(self.id))))
    }

    /// Whether `actor` may give and take `role`: it must be strictly below the actor's highest role
    /// and belong to nobody.
    pub(crate) fn require_assignable(&self, actor: u64, role: u64) -> Result<(), ApiError> {
        let role = self.role(role)?;
        if role.id == self.id {
            return Err(ApiError::invalid_role());
        }
        let below = self.top_rank(actor).is_none_or(|top| role.rank() < top);
        if role.managed || !below {
            Err(ApiError::missing_permissions())
        } else {
            Ok(())
        }
    }

    /// Whether `actor` may rename or kick `target`.
    pub(crate) fn require_below(&self, actor: u64, target: u64) -> Result<(), ApiError> {
        let below = match (self.top_rank(actor), self.top_rank(target)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(actor), Some(target)) => target < actor,
        };
        if below {
            Ok(())
        } else {
            Err(ApiError::missing_permissions())
        }
    }

    /// The position of every role.
    pub(crate) fn positions(&self) -> BTreeMap<u64, i64> {
        self.roles.values().map(|role| (role.id, role.position)).collect()
    }

    /// Puts a role at `position` (1 is the lowest) and gives the others the positions left.
    pub(crate) fn move_role(&mut self, role: u64, position: i64) -> Result<(), ApiError> {
        self.role(role)?;
        let mut order: Vec<u64> = self.ordered_roles().iter().rev().map(|role| role.id).collect();
        order.retain(|id| *id != role && *id != self.id);
        let index = usize::try_from(position.saturating_sub(1))
            .unwrap_or(0)
            .min(order.len());
        order.insert(index, role);
        for (id, position) in order.into_iter().zip(1..) {
            if let Some(role) = self.roles.get_mut(&id) {
                role.position = position;
            }
        }
        Ok(())
    }
}
