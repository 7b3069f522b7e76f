//! What the bot saw in Discord.

use std::time::Duration;

use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use serde::{Deserialize, Serialize};

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// Somebody came into a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberJoined {
    /// The server.
    pub guild_id: GuildId,
    /// Who came.
    pub user_id: DiscordUserId,
    /// The roles they have already.
    pub roles: Vec<RoleId>,
    /// Whether they have yet to accept the server's rules.
    pub pending: bool,
}

/// Somebody left a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberLeft {
    /// The server.
    pub guild_id: GuildId,
    /// Who left.
    pub user_id: DiscordUserId,
}

/// Somebody's roles, or their acceptance of the rules, changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRolesChanged {
    /// The server.
    pub guild_id: GuildId,
    /// Whose.
    pub user_id: DiscordUserId,
    /// All the roles they have now.
    pub roles: Vec<RoleId>,
    /// Whether they have yet to accept the server's rules.
    pub pending: bool,
}

/// What a server looks like: what the set-up check judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuildObserved {
    /// The server.
    pub guild_id: GuildId,
    /// Its name.
    pub name: String,
    /// Seen after a new session, in which events may have been missed; not after a resumed one.
    pub identified: bool,
    /// The bot itself.
    pub bot_user_id: DiscordUserId,
    /// What the bot may do, as Discord writes the bits.
    pub bot_permissions: String,
    /// The position of the bot's highest role: it can only give roles below it.
    pub bot_top_position: i64,
    /// All roles of the server.
    pub roles: Vec<ObservedRole>,
}

/// A role of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedRole {
    /// The role.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// Its place in the order of roles; higher stands above.
    pub position: i64,
    /// Whether an integration owns it: then nobody can give it.
    pub managed: bool,
    /// What it allows, as Discord writes the bits.
    pub permissions: String,
}

macro_rules! discord_event {
    ($name:ident = $kind:literal) => {
        impl Job for $name {
            const KIND: &'static str = $kind;
            const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
            const TIMEOUT: Duration = Duration::from_secs(30);
            const QUEUES: &'static [Queue] = &[Queue::DiscordEvents];

            fn queue(&self) -> Queue {
                Queue::DiscordEvents
            }
        }
    };
}

discord_event!(MemberJoined = "member_joined");
discord_event!(MemberLeft = "member_left");
discord_event!(MemberRolesChanged = "member_roles_changed");
discord_event!(GuildObserved = "guild_observed");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::assert_golden;

    fn guild() -> GuildId {
        GuildId::new(1).unwrap()
    }

    fn user() -> DiscordUserId {
        DiscordUserId::new(2).unwrap()
    }

    fn role() -> RoleId {
        RoleId::new(3).unwrap()
    }

    #[test]
    fn member_events_have_their_golden_shapes() {
        assert_golden(
            &MemberJoined {
                guild_id: guild(),
                user_id: user(),
                roles: vec![role()],
                pending: true,
            },
            r#"{"guild_id":"1","user_id":"2","roles":["3"],"pending":true}"#,
        );
        assert_golden(
            &MemberLeft {
                guild_id: guild(),
                user_id: user(),
            },
            r#"{"guild_id":"1","user_id":"2"}"#,
        );
        assert_golden(
            &MemberRolesChanged {
                guild_id: guild(),
                user_id: user(),
                roles: vec![],
                pending: false,
            },
            r#"{"guild_id":"1","user_id":"2","roles":[],"pending":false}"#,
        );
    }

    #[test]
    fn an_observed_guild_has_its_golden_shape() {
        let observed = GuildObserved {
            guild_id: guild(),
            name: "Council".to_owned(),
            identified: true,
            bot_user_id: user(),
            bot_permissions: "268435456".to_owned(),
            bot_top_position: 9,
            roles: vec![ObservedRole {
                id: role(),
                name: "Member".to_owned(),
                position: 1,
                managed: false,
                permissions: "0".to_owned(),
            }],
        };
        assert_golden(
            &observed,
            concat!(
                r#"{"guild_id":"1","name":"Council","identified":true,"bot_user_id":"2","#,
                r#""bot_permissions":"268435456","bot_top_position":9,"#,
                r#""roles":[{"id":"3","name":"Member","position":1,"managed":false,"permissions":"0"}]}"#
            ),
        );
    }
}
