//! Whether the bot could grant the mapped roles in a server: the role order, its permissions, what cannot be granted.
//!
//! Pure. Used by the bot at every role change, by `doctor`, and before plans are applied.

use std::{cmp::Reverse, fmt, str::FromStr};

use crate::ids::{GuildId, RoleId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Discord's permission bits. A string in JSON, since they do not fit a JavaScript number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u64);

impl Permissions {
    /// Invite people, and add them with `guilds.join`.
    pub const CREATE_INSTANT_INVITE: Self = Self(1);
    /// Remove people from the server.
    pub const KICK_MEMBERS: Self = Self(1 << 1);
    /// Everything.
    pub const ADMINISTRATOR: Self = Self(1 << 3);
    /// Grant and take roles.
    pub const MANAGE_ROLES: Self = Self(1 << 28);
    /// What only staff is given: Kick Members, Ban Members, Administrator, Manage Server, Manage Roles.
    const OF_STAFF: Self = Self(1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 28);

    /// The permissions with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// These and `other` together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `other` is among them. Administrator has them all.
    pub const fn allows(self, other: Self) -> bool {
        self.0 & Self::ADMINISTRATOR.0 != 0 || self.0 & other.0 == other.0
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Permissions {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A role of a server, as Discord's JSON has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuildRole {
    /// The role.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// Its place: higher numbers are above.
    pub position: i64,
    /// It belongs to an integration or a bot, and nobody can grant it.
    #[serde(default)]
    pub managed: bool,
    /// What it allows.
    #[serde(default)]
    pub permissions: Permissions,
}

impl GuildRole {
    const fn rank(&self) -> Rank {
        Rank {
            position: self.position,
            id: Some(Reverse(self.id)),
        }
    }
}

/// Where a role stands. Among equal positions the older role, with the lower id, is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    position: i64,
    /// Without an id it is below every role of the same position, so that doubt counts as a fault.
    id: Option<Reverse<RoleId>>,
}

/// What the bot is in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BotStanding {
    permissions: Permissions,
    top: Rank,
}

impl BotStanding {
    /// The standing of a bot with these roles: its permissions are those of @everyone and of all its roles.
    pub fn of(guild: GuildId, roles: &[GuildRole], bot_roles: &[RoleId]) -> Self {
        let mut standing = Self {
            permissions: Permissions::default(),
            top: Rank {
                position: 0,
                id: None,
            },
        };
        for role in roles {
            if is_everyone(guild, role.id) || bot_roles.contains(&role.id) {
                standing.permissions = standing.permissions.union(role.permissions);
                standing.top = standing.top.max(role.rank());
            }
        }
        standing
    }

    /// The standing as an earlier observation recorded it.
    pub const fn observed(permissions: Permissions, top_position: i64) -> Self {
        Self {
            permissions,
            top: Rank {
                position: top_position,
                id: None,
            },
        }
    }

    /// What the bot may do in the whole server.
    pub const fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// The position of its highest role.
    pub const fn top_position(&self) -> i64 {
        self.top.position
    }
}

/// Something that keeps the bot from granting a mapped role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bot may not manage roles.
    #[error("the bot lacks the permission Manage Roles")]
    ManageRolesMissing,
    /// The bot may not create invites, which adding people needs.
    #[error("the bot lacks the permission Create Invite")]
    CreateInviteMissing,
    /// The bot may not remove people, which a plan with that end needs.
    #[error("the bot lacks the permission Kick Members, which a plan with end = \"kick\" needs")]
    KickMembersMissing,
    /// There is no such role.
    #[error("the role {role} does not exist in this server")]
    RoleUnknown {
        /// The mapped role.
        role: RoleId,
    },
    /// The role is @everyone.
    #[error("the role {role} is @everyone, which everybody has")]
    RoleEveryone {
        /// The mapped role.
        role: RoleId,
    },
    /// The role belongs to an integration.
    #[error("the role {name} ({role}) is managed by an integration, and nobody can grant it")]
    RoleManaged {
        /// The mapped role.
        role: RoleId,
        /// Its name.
        name: String,
    },
    /// The role stands beside or above the bot's highest role.
    #[error("the role {name} ({role}) is not below the bot's highest role")]
    RoleNotBelow {
        /// The mapped role.
        role: RoleId,
        /// Its name.
        name: String,
    },
}

impl Fault {
    /// A stable name for the kind of fault.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::ManageRolesMissing => "manage_roles_missing",
            Self::CreateInviteMissing => "create_invite_missing",
            Self::KickMembersMissing => "kick_members_missing",
            Self::RoleUnknown { .. } => "role_unknown",
            Self::RoleEveryone { .. } => "role_everyone",
            Self::RoleManaged { .. } => "role_managed",
            Self::RoleNotBelow { .. } => "role_not_below",
        }
    }

    /// The role it is about; `None` if it is about all of them.
    pub const fn role(&self) -> Option<RoleId> {
        match self {
            Self::ManageRolesMissing | Self::CreateInviteMissing | Self::KickMembersMissing => None,
            Self::RoleUnknown { role }
            | Self::RoleEveryone { role }
            | Self::RoleManaged { role, .. }
            | Self::RoleNotBelow { role, .. } => Some(*role),
        }
    }

    /// The name of the role it is about, where known.
    pub fn role_name(&self) -> Option<&str> {
        match self {
            Self::RoleManaged { name, .. } | Self::RoleNotBelow { name, .. } => Some(name),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::ManageRolesMissing => {
                "In Discord: Server Settings > Roles > the bot's role > Permissions, switch on Manage Roles"
                    .to_owned()
            }
            Self::CreateInviteMissing => {
                "In Discord: Server Settings > Roles > the bot's role > Permissions, switch on Create Invite"
                    .to_owned()
            }
            Self::KickMembersMissing => {
                "In Discord: Server Settings > Roles > the bot's role > Permissions, switch on Kick Members"
                    .to_owned()
            }
            Self::RoleUnknown { role } => format!(
                "Put the id of an existing role in place of {role} in the plans file: right-click a role in Server \
                 Settings > Roles and copy its id"
            ),
            Self::RoleEveryone { .. } => "Name a role other than @everyone in the plans file".to_owned(),
            Self::RoleManaged { name, .. } => {
                format!("Create an ordinary role in place of {name} and name that one in the plans file")
            }
            Self::RoleNotBelow { name, .. } => {
                format!("In Discord: Server Settings > Roles, drag the bot's role above {name}")
            }
        }
    }
}

/// Everything that keeps the bot from granting `mapped` in this server; empty if all is well.
pub fn check(guild: GuildId, roles: &[GuildRole], bot: &BotStanding, mapped: &[RoleId]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !bot.permissions.allows(Permissions::MANAGE_ROLES) {
        faults.push(Fault::ManageRolesMissing);
    }
    if !bot.permissions.allows(Permissions::CREATE_INSTANT_INVITE) {
        faults.push(Fault::CreateInviteMissing);
    }
    let mut mapped = mapped.to_vec();
    mapped.sort_unstable();
    mapped.dedup();
    faults.extend(
        mapped
            .into_iter()
            .filter_map(|role| check_role(guild, roles, bot, role)),
    );
    faults
}

/// What keeps the bot from removing people at all.
pub fn check_kick(bot: &BotStanding) -> Option<Fault> {
    (!bot.permissions.allows(Permissions::KICK_MEMBERS)).then_some(Fault::KickMembersMissing)
}

/// Why somebody is not removed from a server although their membership has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untouchable {
    /// The bot may not remove anybody.
    #[error("{fault}. {}", fault.fix())]
    Setup {
        /// What is missing.
        fault: Fault,
    },
    /// They stand beside or above the bot.
    #[error("their role {name} is not below the bot's highest role")]
    NotBelow {
        /// Their role.
        name: String,
    },
    /// They are staff there.
    #[error("their role {name} gives them permissions of staff")]
    Staff {
        /// Their role.
        name: String,
    },
}

/// Whether the bot may remove somebody with these roles. That they own the server only Discord knows, and refuses.
pub fn may_kick(roles: &[GuildRole], bot: &BotStanding, held: &[RoleId]) -> Result<(), Untouchable> {
    if let Some(fault) = check_kick(bot) {
        return Err(Untouchable::Setup { fault });
    }
    for role in roles.iter().filter(|role| held.contains(&role.id)) {
        let name = || role.name.clone();
        if role.rank() >= bot.top {
            return Err(Untouchable::NotBelow { name: name() });
        }
        if role.permissions.bits() & Permissions::OF_STAFF.bits() != 0 {
            return Err(Untouchable::Staff { name: name() });
        }
    }
    Ok(())
}

fn check_role(guild: GuildId, roles: &[GuildRole], bot: &BotStanding, id: RoleId) -> Option<Fault> {
    if is_everyone(guild, id) {
        return Some(Fault::RoleEveryone { role: id });
    }
    let Some(role) = roles.iter().find(|role| role.id == id) else {
        return Some(Fault::RoleUnknown { role: id });
    };
    if role.managed {
        return Some(Fault::RoleManaged {
            role: id,
            name: role.name.clone(),
        });
    }
    (role.rank() >= bot.top).then(|| Fault::RoleNotBelow {
        role: id,
        name: role.name.clone(),
    })
}

/// The role that everybody has carries the id of its server.
const fn is_everyone(guild: GuildId, role: RoleId) -> bool {
    guild.get() == role.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUILD: u64 = 100;

    fn guild() -> GuildId {
        GuildId::new(GUILD).unwrap()
    }

    fn id(id: u64) -> RoleId {
        RoleId::new(id).unwrap()
    }

    fn role(number: u64, position: i64, permissions: Permissions) -> GuildRole {
        GuildRole {
            id: id(number),
            name: format!("role {number}"),
            position,
            managed: false,
            permissions,
        }
    }

    fn good() -> Permissions {
        Permissions::MANAGE_ROLES.union(Permissions::CREATE_INSTANT_INVITE)
    }

    fn server() -> Vec<GuildRole> {
        vec![
            role(GUILD, 0, Permissions::CREATE_INSTANT_INVITE),
            role(101, 1, Permissions::default()),
            role(102, 2, Permissions::default()),
            role(103, 5, Permissions::MANAGE_ROLES),
            role(104, 6, Permissions::default()),
        ]
    }

    fn faults(roles: &[GuildRole], bot_roles: &[u64], mapped: &[u64]) -> Vec<&'static str> {
        let bot_roles: Vec<_> = bot_roles.iter().copied().map(id).collect();
        let mapped: Vec<_> = mapped.iter().copied().map(id).collect();
        let bot = BotStanding::of(guild(), roles, &bot_roles);
        check(guild(), roles, &bot, &mapped)
            .iter()
            .map(Fault::id)
            .collect()
    }

    #[test]
    fn a_good_server_has_no_faults() {
        assert!(faults(&server(), &[103], &[101, 102]).is_empty());
    }

    #[test]
    fn a_role_beside_or_above_the_bot_is_a_fault() {
        assert_eq!(
            faults(&server(), &[103], &[101, 103, 104]),
            ["role_not_below", "role_not_below"]
        );
    }

    #[test]
    fn among_equal_positions_the_older_role_is_above() {
        let mut roles = server();
        roles[2].position = 5;
        assert_eq!(faults(&roles, &[103], &[102]), ["role_not_below"]);
        roles[4].position = 5;
        assert!(faults(&roles, &[103], &[104]).is_empty());
        let observed = BotStanding::observed(good(), 5);
        assert_eq!(
            check(guild(), &roles, &observed, &[id(104)]).len(),
            1,
            "without the bot's role doubt is a fault"
        );
    }

    #[test]
    fn a_bot_without_roles_is_below_everybody() {
        assert_eq!(
            faults(&server(), &[], &[101]),
            ["manage_roles_missing", "role_not_below"]
        );
    }

    #[test]
    fn administrator_has_every_permission_but_no_higher_place() {
        let mut roles = server();
        roles[0].permissions = Permissions::default();
        roles[3].permissions = Permissions::ADMINISTRATOR;
        assert_eq!(faults(&roles, &[103], &[101, 104]), ["role_not_below"]);
    }

    #[test]
    fn permissions_come_from_everyone_and_all_of_the_bots_roles_only() {
        let mut roles = server();
        roles[0].permissions = Permissions::default();
        roles[1].permissions = Permissions::CREATE_INSTANT_INVITE;
        assert_eq!(faults(&roles, &[103], &[102]), ["create_invite_missing"]);
        assert!(faults(&roles, &[103, 101], &[102]).is_empty());
    }

    #[test]
    fn roles_that_cannot_be_granted_are_named() {
        let mut roles = server();
        roles[1].managed = true;
        assert_eq!(
            faults(&roles, &[103], &[GUILD, 101, 999, 999]),
            ["role_everyone", "role_managed", "role_unknown"]
        );
    }

    #[test]
    fn only_people_below_the_bot_who_are_not_staff_may_be_removed() {
        let mut roles = server();
        roles[3].permissions = good().union(Permissions::KICK_MEMBERS);
        roles[2].permissions = Permissions::MANAGE_ROLES;
        let may = |roles: &[GuildRole], held: &[u64]| {
            let held: Vec<_> = held.iter().copied().map(id).collect();
            may_kick(roles, &BotStanding::of(guild(), roles, &[id(103)]), &held)
        };
        assert_eq!(may(&roles, &[]), Ok(()));
        assert_eq!(may(&roles, &[101, 999]), Ok(()));
        assert!(matches!(may(&roles, &[101, 102]), Err(Untouchable::Staff { .. })));
        assert!(matches!(may(&roles, &[103]), Err(Untouchable::NotBelow { .. })));
        assert!(matches!(may(&roles, &[104]), Err(Untouchable::NotBelow { .. })));
        let without = may(&server(), &[101]).unwrap_err();
        let fault = Fault::KickMembersMissing;
        assert_eq!(without, Untouchable::Setup { fault });
        assert!(
            without.to_string().contains("switch on Kick Members"),
            "{without}"
        );
    }

    #[test]
    fn a_fault_names_the_role_and_says_what_to_do() {
        let bot = BotStanding::of(guild(), &server(), &[id(103)]);
        let found = check(guild(), &server(), &bot, &[id(104)]);
        assert_eq!(
            found[0].to_string(),
            "the role role 104 (104) is not below the bot's highest role"
        );
        assert!(found[0].fix().contains("drag the bot's role above role 104"));
        assert_eq!(
            (found[0].role(), found[0].role_name()),
            (Some(id(104)), Some("role 104"))
        );
    }

    #[test]
    fn a_role_is_read_from_discords_json() {
        let json =
            r#"{"id":"7","name":"Council","position":3,"managed":false,"permissions":"268435457","color":0}"#;
        let role: GuildRole = serde_json::from_str(json).unwrap();
        assert!(role.permissions.allows(Permissions::MANAGE_ROLES));
        assert_eq!(serde_json::to_value(&role).unwrap()["permissions"], "268435457");
    }
}
