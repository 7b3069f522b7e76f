//! What the worker publishes in Redis: the catalog for the bot, which has no database, and whose
//! pages have something new to show.

use rolecall_domain::ids::{ChannelId, GuildId, RoleId};
use serde::{Deserialize, Serialize};

/// The document's name.
pub const CATALOG: &str = "catalog";

/// The channel on which the id of a member is published after every change.
pub const MEMBER_CHANGED: &str = "member-changed";

/// What the bot must know of plans and servers, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CatalogDocument {
    /// Grows with every change.
    pub version: i64,
    /// The servers.
    pub guilds: Vec<CatalogGuild>,
}

impl CatalogDocument {
    /// What is known of a server.
    pub fn guild(&self, guild_id: GuildId) -> Option<&CatalogGuild> {
        self.guilds.iter().find(|guild| guild.guild_id == guild_id)
    }
}

/// What the bot must know of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogGuild {
    /// The server.
    pub guild_id: GuildId,
    /// Every role there that we may give or take: those of plans and the special ones.
    pub mapped_roles: Vec<RoleId>,
    /// Roles that were mapped once and that people still have of us: they may be taken, and are given to nobody.
    #[serde(default)]
    pub retired_roles: Vec<RoleId>,
    /// Given while a payment is failing.
    #[serde(default)]
    pub debtor_role: Option<RoleId>,
    /// Given after an introduction.
    #[serde(default)]
    pub introduced_role: Option<RoleId>,
    /// Where introductions are written.
    #[serde(default)]
    pub introductions_channel: Option<ChannelId>,
    /// Given when the last access ends.
    #[serde(default)]
    pub alumni_role: Option<RoleId>,
    /// Whether people are removed from it when what they hold there has ended.
    #[serde(default)]
    pub removes_people: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_read_back_as_it_was_first_shipped() {
        let golden =
            r#"{"version":7,"guilds":[{"guild_id":"1","mapped_roles":["2","3"],"debtor_role":"3"}]}"#;
        let document: CatalogDocument = serde_json::from_str(golden).unwrap();
        let guild = document.guild(GuildId::new(1).unwrap()).unwrap();
        assert_eq!((document.version, guild.mapped_roles.len()), (7, 2));
        assert_eq!((guild.debtor_role, guild.alumni_role), (RoleId::new(3), None));
        assert!(!guild.removes_people && guild.retired_roles.is_empty());
        let written = serde_json::to_string(&document).unwrap();
        assert_eq!(
            serde_json::from_str::<CatalogDocument>(&written).unwrap(),
            document
        );
    }
}
