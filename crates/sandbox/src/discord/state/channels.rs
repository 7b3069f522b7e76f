//! Channels and the messages in them: direct ones with the bot, and text channels of servers.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::discord::{
    config::GuildSeed,
    error::ApiError,
    ids::Snowflake,
    json::with,
    state::{World, guild::Guild},
};

/// How long a nonce is known. Discord says "in the past few minutes"; this is the least that it can mean.
const NONCE_KNOWN: TimeDelta = TimeDelta::minutes(2);

/// A channel.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) id: u64,
    pub(crate) place: Place,
}

/// Where a channel is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Between the bot and this user.
    Direct { user: u64 },
    /// In a server.
    Guild { guild: u64, name: String, position: i64 },
}

impl Channel {
    /// Whether it is the one between the bot and this user.
    fn is_with(&self, user: u64) -> bool {
        matches!(self.place, Place::Direct { user: theirs } if theirs == user)
    }

    pub(crate) fn of_guild(seed: &GuildSeed) -> impl Iterator<Item = Self> {
        seed.channels.iter().zip(0..).map(|((id, name), position)| Self {
            id: *id,
            place: Place::Guild {
                guild: seed.id,
                name: name.clone(),
                position,
            },
        })
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// The message id.
    pub id: Snowflake,
    /// The channel it is in.
    pub channel: Snowflake,
    /// Who wrote it.
    pub author: Snowflake,
    /// The text.
    pub content: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Embeds, as they were sent.
    pub embeds: Value,
    /// Components, as they were sent.
    pub components: Value,
    /// What its sender knows it by, where they sent it.
    pub nonce: Option<String>,
}

/// What a message is made of.
#[derive(Debug, Clone)]
pub(crate) struct NewMessage {
    pub(crate) content: String,
    pub(crate) embeds: Value,
    pub(crate) components: Value,
    pub(crate) nonce: Option<String>,
    /// A second message with the same nonce is the first one, for a while.
    pub(crate) enforce_nonce: bool,
}

impl NewMessage {
    /// Plain text.
    pub(crate) fn text(content: String) -> Self {
        let empty = || Value::Array(Vec::new());
        Self {
            content,
            embeds: empty(),
            components: empty(),
            nonce: None,
            enforce_nonce: false,
        }
    }

    /// Reads the body of a create or edit request.
    pub(crate) fn parse(body: &Value) -> Result<Self, ApiError> {
        let list = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(Value::Array(Vec::new())),
            Some(list @ Value::Array(_)) => Ok(list.clone()),
            Some(_) => Err(ApiError::form(
                name,
                "LIST_TYPE_CONVERT",
                "Only iterables may be used in a ListType",
            )),
        };
        let content = body
            .get("content")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if content.chars().count() > 2_000 {
            return Err(ApiError::form(
                "content",
                "BASE_TYPE_MAX_LENGTH",
                "Must be 2000 or fewer in length.",
            ));
        }
        let new = Self {
            content,
            embeds: list("embeds")?,
            components: list("components")?,
            nonce: nonce(body)?,
            enforce_nonce: body
                .get("enforce_nonce")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        };
        if new.content.is_empty() && is_empty(&new.embeds) && is_empty(&new.components) {
            return Err(ApiError::empty_message());
        }
        Ok(new)
    }
}

/// A text of at most 25 characters, or a number.
fn nonce(body: &Value) -> Result<Option<String>, ApiError> {
    match body.get("nonce") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= 25 => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(ApiError::form(
            "nonce",
            "BASE_TYPE_MAX_LENGTH",
            "Must be 25 or fewer in length.",
        )),
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

impl World {
    /// The direct channel with a user, opened if need be.
    pub(crate) fn direct_channel(&mut self, user: u64, now: DateTime<Utc>) -> Result<u64, ApiError> {
        self.user(user)?;
        if let Some(channel) = self.channels.values().find(|channel| channel.is_with(user)) {
            return Ok(channel.id);
        }
        let id = self.ids.snowflake(now);
        self.channels.insert(
            id,
            Channel {
                id,
                place: Place::Direct { user },
            },
        );
        Ok(id)
    }

    /// Whether the bot may write to a user.
    pub(crate) fn require_reachable(&self, user: u64) -> Result<(), ApiError> {
        let both_in =
            |guild: &Guild| guild.members.contains_key(&user) && guild.members.contains_key(&self.bot());
        if !self.guilds.values().any(both_in) {
            return Err(ApiError::no_mutual_guild());
        }
        if self.user(user)?.dms_closed {
            Err(ApiError::cannot_dm())
        } else {
            Ok(())
        }
    }

    /// Stores a message and tells the gateway.
    pub(crate) fn post_message(
        &mut self,
        channel: u64,
        author: u64,
        new: NewMessage,
        now: DateTime<Utc>,
    ) -> Result<Message, ApiError> {
        if !self.channels.contains_key(&channel) {
            return Err(ApiError::unknown_channel());
        }
        let is_the_same = |message: &&Message| {
            message.channel.0 == channel
                && message.author.0 == author
                && message.nonce == new.nonce
                && now - message.at < NONCE_KNOWN
        };
        if new.enforce_nonce
            && new.nonce.is_some()
            && let Some(first) = self.messages.iter().find(is_the_same)
        {
            return Ok(first.clone());
        }
        let message = Message {
            id: self.ids.snowflake(now).into(),
            channel: channel.into(),
            author: author.into(),
            content: new.content,
            at: now,
            embeds: new.embeds,
            components: new.components,
            nonce: new.nonce,
        };
        self.messages.push(message.clone());
        self.dispatch_message(&message);
        Ok(message)
    }
}

impl World {
    /// What was written to a user alone.
    pub(crate) fn messages_to(&self, user: u64) -> impl Iterator<Item = &Message> {
        let is_theirs = move |message: &&Message| {
            let channel = self.channels.get(&message.channel.0);
            channel.is_some_and(|channel| channel.is_with(user))
        };
        self.messages.iter().filter(is_theirs)
    }

    /// A message with who received it, for those who look at the simulator.
    pub(crate) fn message_with_recipient(&self, message: &Message) -> Value {
        let recipient = self
            .channels
            .get(&message.channel.0)
            .and_then(|channel| match channel.place {
                Place::Direct { user } => Some(Snowflake(user)),
                Place::Guild { .. } => None,
            });
        with(self.message_json(message), json!({"recipient": recipient}))
    }
}
