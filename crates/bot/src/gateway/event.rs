//! The events that matter, read with as few demands as possible: an unknown field or a missing one loses nothing.

use std::{borrow::Cow, time::Duration};

use rolecall_domain::{
    hierarchy::GuildRole,
    ids::{DiscordUserId, GuildId, RoleId},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// A payload of the gateway, unread but for its envelope.
#[derive(Debug, Deserialize)]
pub(crate) struct Payload<'a> {
    /// What kind of payload it is.
    pub(crate) op: u8,
    #[serde(rename = "s")]
    pub(crate) sequence: Option<u64>,
    #[serde(rename = "t", borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(rename = "d", borrow)]
    data: Option<&'a RawValue>,
}

/// An event that matters.
#[derive(Debug)]
pub(crate) enum Event {
    Ready(Ready),
    Resumed,
    GuildCreate(GuildBody),
    GuildUpdate(GuildBody),
    /// The server is gone, or out of order for a while.
    GuildDelete {
        guild_id: GuildId,
    },
    RoleSet {
        guild_id: GuildId,
        role: GuildRole,
    },
    RoleDelete {
        guild_id: GuildId,
        role_id: RoleId,
    },
    MemberAdd(MemberBody),
    MemberUpdate(MemberBody),
    MemberRemove {
        guild_id: GuildId,
        user_id: DiscordUserId,
    },
    /// Everything else.
    Other,
}

/// A new session.
#[derive(Debug, Deserialize)]
pub(crate) struct Ready {
    pub(crate) user: UserBody,
    pub(crate) session_id: String,
    pub(crate) resume_gateway_url: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UserBody {
    pub(crate) id: DiscordUserId,
}

/// A server.
#[derive(Debug, Deserialize)]
pub(crate) struct GuildBody {
    pub(crate) id: GuildId,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) roles: Vec<GuildRole>,
    #[serde(default)]
    pub(crate) members: Vec<MemberBody>,
    #[serde(default)]
    unavailable: Option<bool>,
}

/// Somebody in a server.
#[derive(Debug, Deserialize)]
pub(crate) struct MemberBody {
    #[serde(default)]
    pub(crate) guild_id: Option<GuildId>,
    user: UserBody,
    #[serde(default)]
    pub(crate) roles: Vec<RoleId>,
    #[serde(default)]
    pending: Option<bool>,
}

#[derive(Deserialize)]
struct Hello {
    heartbeat_interval: u64,
}

#[derive(Deserialize)]
struct GuildGone {
    id: GuildId,
}

#[derive(Deserialize)]
struct RoleChange {
    guild_id: GuildId,
    role: GuildRole,
}

#[derive(Deserialize)]
struct RoleGone {
    guild_id: GuildId,
    role_id: RoleId,
}

#[derive(Deserialize)]
struct MemberGone {
    guild_id: GuildId,
    user: UserBody,
}

impl MemberBody {
    pub(crate) fn user_id(&self) -> DiscordUserId {
        self.user.id
    }

    pub(crate) fn pending(&self) -> bool {
        self.pending.unwrap_or_default()
    }
}

impl<'a> Payload<'a> {
    pub(crate) fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// What kind of event it is, for logs.
    pub(crate) fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or_default()
    }

    /// How often the connection wants a heartbeat, if this is HELLO.
    pub(crate) fn heartbeat_interval(&self) -> Option<Duration> {
        let hello: Hello = (self.op == 10).then(|| self.data().ok()).flatten()?;
        Some(Duration::from_millis(hello.heartbeat_interval))
    }

    /// The event.
    pub(crate) fn event(&self) -> serde_json::Result<Event> {
        Ok(match self.kind() {
            "READY" => Event::Ready(self.data()?),
            "RESUMED" => Event::Resumed,
            "GUILD_CREATE" => match self.data::<GuildBody>()? {
                guild if guild.unavailable == Some(true) => Event::GuildDelete { guild_id: guild.id },
                guild => Event::GuildCreate(guild),
            },
            "GUILD_UPDATE" => Event::GuildUpdate(self.data()?),
            "GUILD_DELETE" => Event::GuildDelete {
                guild_id: self.data::<GuildGone>()?.id,
            },
            "GUILD_ROLE_CREATE" | "GUILD_ROLE_UPDATE" => {
                let RoleChange { guild_id, role } = self.data()?;
                Event::RoleSet { guild_id, role }
            }
            "GUILD_ROLE_DELETE" => {
                let RoleGone { guild_id, role_id } = self.data()?;
                Event::RoleDelete { guild_id, role_id }
            }
            "GUILD_MEMBER_ADD" => Event::MemberAdd(self.data()?),
            "GUILD_MEMBER_UPDATE" => Event::MemberUpdate(self.data()?),
            "GUILD_MEMBER_REMOVE" => {
                let MemberGone { guild_id, user } = self.data()?;
                Event::MemberRemove {
                    guild_id,
                    user_id: user.id,
                }
            }
            _ => Event::Other,
        })
    }

    fn data<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.data.map_or("null", RawValue::get))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Event {
        let text = format!(r#"{{"op":0,"s":5,"t":"{kind}","d":{data}}}"#);
        let payload = Payload::read(&text).unwrap();
        assert_eq!(payload.sequence, Some(5));
        payload.event().unwrap()
    }

    #[test]
    fn a_server_is_read_from_little_and_from_much() {
        let Event::GuildCreate(bare) = event("GUILD_CREATE", r#"{"id":"1"}"#) else {
            panic!()
        };
        assert!(bare.roles.is_empty() && bare.members.is_empty());
        let full = r#"{"id":"1","name":"Council","unavailable":false,"channels":[{"type":99}],"roles":[
            {"id":"1","name":"@everyone","position":0,"permissions":"0","colors":{}}],
            "members":[{"user":{"id":"7","username":"x"},"roles":["2"],"pending":null}]}"#;
        let Event::GuildCreate(full) = event("GUILD_CREATE", full) else {
            panic!()
        };
        assert_eq!((full.roles.len(), full.members[0].user_id().get()), (1, 7));
    }

    #[test]
    fn a_server_that_is_out_of_order_is_gone_for_now() {
        let Event::GuildDelete { guild_id } = event("GUILD_CREATE", r#"{"id":"1","unavailable":true}"#)
        else {
            panic!()
        };
        assert_eq!(guild_id.get(), 1);
    }

    #[test]
    fn what_does_not_concern_us_is_not_read() {
        assert!(matches!(
            event("MESSAGE_CREATE", r#"{"content":12}"#),
            Event::Other
        ));
    }

    #[test]
    fn ready_tells_who_we_are_and_how_to_come_back() {
        let ready =
            r#"{"v":10,"user":{"id":"9","bot":true},"session_id":"s","resume_gateway_url":"wss://x"}"#;
        let Event::Ready(ready) = event("READY", ready) else {
            panic!()
        };
        assert_eq!((ready.user.id.get(), ready.session_id.as_str()), (9, "s"));
        assert_eq!(ready.resume_gateway_url, "wss://x");
    }

    #[test]
    fn hello_tells_the_pace() {
        let hello = r#"{"op":10,"d":{"heartbeat_interval":41250},"s":null,"t":null}"#;
        let pace = Payload::read(hello).unwrap().heartbeat_interval();
        assert_eq!(pace, Some(Duration::from_millis(41_250)));
        assert_eq!(Payload::read(r#"{"op":11}"#).unwrap().heartbeat_interval(), None);
    }
}
