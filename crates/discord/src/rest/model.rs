//! What we read from Discord's answers: few fields, and tolerant of whatever else is there or missing.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    hierarchy::GuildRole,
    ids::{DiscordUserId, GuildId, RoleId},
};
use serde::{Deserialize, Deserializer};

/// The bot's own account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BotUser {
    /// The account.
    pub id: DiscordUserId,
    /// Its name.
    pub username: String,
}

/// The application that the bot belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Application {
    /// The application, which is also the OAuth client id.
    pub id: DiscordUserId,
    /// Its name.
    pub name: String,
    /// Discord's flags.
    #[serde(default)]
    pub flags: u64,
}

impl Application {
    /// Whether the Server Members intent is switched on in the developer portal.
    pub const fn has_guild_members_intent(&self) -> bool {
        self.flags & (1 << 14 | 1 << 15) != 0
    }

    /// Whether the Message Content intent is switched on in the developer portal.
    pub const fn has_message_content_intent(&self) -> bool {
        self.flags & (1 << 18 | 1 << 19) != 0
    }
}

/// Where to connect to the gateway, and how many sessions may still be started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GatewayBot {
    /// The gateway's address.
    pub url: String,
    /// Shards that Discord recommends.
    #[serde(default = "one")]
    pub shards: u32,
    /// The budget of session starts.
    pub session_start_limit: SessionStartLimit,
}

/// The budget of session starts (IDENTIFY): using it up resets the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct SessionStartLimit {
    /// Starts in a period.
    pub total: u32,
    /// Starts left in this one.
    pub remaining: u32,
    /// Milliseconds until the period ends.
    pub reset_after: u64,
    /// Starts at once, every five seconds.
    #[serde(default = "one")]
    pub max_concurrency: u32,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Guild {
    /// The server.
    pub id: GuildId,
    /// Its name.
    pub name: String,
    /// Who owns it; nobody can change the owner's roles above their own.
    pub owner_id: DiscordUserId,
    /// Its roles, @everyone included.
    #[serde(default)]
    pub roles: Vec<GuildRole>,
}

/// A person in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub user_id: DiscordUserId,
    /// The roles they have, without @everyone.
    pub roles: Vec<RoleId>,
    /// They have not passed Membership Screening yet.
    pub pending: bool,
    /// When they joined; unknown for some guests.
    pub joined_at: Option<DateTime<Utc>>,
    /// The account is a bot.
    pub bot: bool,
}

/// What came of adding a person to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// They joined, with the roles given.
    Created(Member),
    /// They were there before. Nothing was changed: the roles have to be added one by one.
    AlreadyThere,
}

/// A member as Discord writes it. Some answers leave the user out.
#[derive(Debug, Deserialize)]
pub(crate) struct RawMember {
    user: Option<RawUser>,
    roles: Vec<RoleId>,
    #[serde(default, deserialize_with = "null_is_false")]
    pending: bool,
    #[serde(default)]
    joined_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RawUser {
    id: DiscordUserId,
    #[serde(default)]
    bot: bool,
}

impl RawMember {
    /// The member, who is `expected` if the answer does not say.
    pub(crate) fn into_member(self, expected: DiscordUserId) -> Member {
        let (user_id, bot) = self
            .user
            .as_ref()
            .map_or((expected, false), |user| (user.id, user.bot));
        self.with_user(user_id, bot)
    }

    /// The member; `None` if the answer does not say who it is.
    pub(crate) fn into_listed(self) -> Option<Member> {
        let (user_id, bot) = self.user.as_ref().map(|user| (user.id, user.bot))?;
        Some(self.with_user(user_id, bot))
    }

    fn with_user(self, user_id: DiscordUserId, bot: bool) -> Member {
        let joined_at = self.joined_at.and_then(|text| text.parse().ok());
        Member {
            user_id,
            roles: self.roles,
            pending: self.pending,
            joined_at,
            bot,
        }
    }
}

const fn one() -> u32 {
    1
}

fn null_is_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::<bool>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_read_with_or_without_the_fields_that_may_be_missing() {
        let expected = DiscordUserId::new(9).unwrap();
        let bare: RawMember = serde_json::from_str(r#"{"roles":["1","2"],"pending":null}"#).unwrap();
        let bare = bare.into_member(expected);
        assert_eq!(
            (bare.user_id, bare.roles.len(), bare.pending, bare.joined_at),
            (expected, 2, false, None)
        );

        let full = r#"{"user":{"id":"5","username":"x","bot":true,"extra":{}},"roles":[],"pending":true,
            "joined_at":"2026-01-02T03:04:05.678000+00:00","flags":0,"nick":null}"#;
        let full: RawMember = serde_json::from_str(full).unwrap();
        let full = full.into_listed().unwrap();
        assert_eq!((full.user_id.get(), full.pending, full.bot), (5, true, true));
        assert_eq!(
            full.joined_at.unwrap().to_rfc3339(),
            "2026-01-02T03:04:05.678+00:00"
        );
    }

    #[test]
    fn either_form_of_an_intent_flag_counts() {
        let application = |flags| Application {
            id: DiscordUserId::new(1).unwrap(),
            name: String::new(),
            flags,
        };
        assert!(application(1 << 14).has_guild_members_intent());
        assert!(application(1 << 15).has_guild_members_intent());
        assert!(!application(1 << 18).has_guild_members_intent());
        assert!(application(1 << 19).has_message_content_intent());
    }
}
