//! Slash commands and what becomes of an interaction: three seconds to answer, fifteen minutes to edit.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::discord::{
    error::ApiError,
    ids::Snowflake,
    json::{bare_member, with},
    state::{
        World,
        channels::{Message, NewMessage},
    },
};

const FIRST_ANSWER: Duration = Duration::from_secs(3);
const TOKEN_LIFETIME: Duration = Duration::from_mins(15);

/// Commands by guild (0 for global ones), and the interactions made with them.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    pub(crate) registered: BTreeMap<u64, Vec<Value>>,
    pub(crate) interactions: BTreeMap<u64, Interaction>,
}

/// A command that somebody used, and what they see.
#[derive(Debug, Clone, Serialize)]
pub struct Interaction {
    /// The interaction's id.
    pub id: Snowflake,
    /// Where it was used.
    pub guild: Snowflake,
    /// In which channel.
    pub channel: Snowflake,
    /// By whom.
    pub user: Snowflake,
    /// The command's name.
    pub command: String,
    /// The type of the first answer: 4 for a message, 5 for "thinking".
    pub answered: Option<u64>,
    /// Whether only the user sees the answer.
    pub ephemeral: bool,
    /// The answer, once there is one.
    pub answer: Option<Message>,
    /// Further messages.
    pub follow_ups: Vec<Message>,
    #[serde(skip)]
    token: String,
    #[serde(skip)]
    started: Instant,
}

/// A use of a command.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) guild: u64,
    pub(crate) user: u64,
    pub(crate) command: String,
    /// As Discord sends them: `[{"name", "type", "value"}]`.
    pub(crate) options: Value,
}

impl World {
    /// Replaces the commands of a guild, or the global ones with 0.
    pub(crate) fn set_commands(
        &mut self,
        guild: u64,
        commands: &[Value],
        now: DateTime<Utc>,
    ) -> Result<Vec<Value>, ApiError> {
        let registered: Vec<Value> = commands
            .iter()
            .enumerate()
            .map(|(index, command)| {
                check_command(index, command)?;
                let id = self.ids.snowflake(now).to_string();
                let defaults =
                    json!({"type": 1, "default_member_permissions": null, "options": [], "nsfw": false});
                let given = with(defaults, command.clone());
                let mut ours = json!({"id": id, "version": id, "application_id": self.bot().to_string()});
                if guild != 0 {
                    ours = with(ours, json!({"guild_id": guild.to_string()}));
                }
                Ok(with(given, ours))
            })
            .collect::<Result<_, ApiError>>()?;
        self.commands.registered.insert(guild, registered.clone());
        Ok(registered)
    }

    /// Somebody uses a command: the bot hears of it by the gateway, whatever its intents.
    pub(crate) fn use_command(&mut self, usage: Usage, now: DateTime<Utc>) -> Result<u64, ApiError> {
        let guild = self.guild_of_bot(usage.guild)?;
        let channel = guild.channels.first().copied().unwrap_or(usage.guild);
        let interaction = Interaction {
            id: self.ids.snowflake(now).into(),
            guild: usage.guild.into(),
            channel: channel.into(),
            user: usage.user.into(),
            command: usage.command,
            answered: None,
            ephemeral: false,
            answer: None,
            follow_ups: Vec::new(),
            token: self.ids.secret("interaction"),
            started: Instant::now(),
        };
        let payload = self.interaction_json(&interaction, &usage.options)?;
        let id = interaction.id.0;
        self.commands.interactions.insert(id, interaction);
        self.gateway.broadcast("INTERACTION_CREATE", |session| {
            session.covers(usage.guild).then(|| payload.clone())
        });
        Ok(id)
    }

    fn interaction_json(&self, interaction: &Interaction, options: &Value) -> Result<Value, ApiError> {
        let Interaction {
            guild: Snowflake(id),
            user,
            channel,
            command,
            ..
        } = interaction;
        let command_id = self
            .command_id(*id, command)
            .ok_or_else(ApiError::unknown_interaction)?;
        let guild = self.guild(*id)?;
        let permissions = json!({"permissions": guild.permissions(user.0).to_string()});
        Ok(json!({
            "id": interaction.id,
            "application_id": self.bot().to_string(),
            "type": 2,
            "token": interaction.token,
            "version": 1,
            "guild_id": interaction.guild,
            "guild": {"id": interaction.guild, "locale": "en-US", "features": []},
            "channel_id": channel,
            "channel": {"id": channel, "type": 0},
            "member": with(self.member_json(guild.member(user.0)?), permissions),
            "app_permissions": guild.permissions(self.bot()).to_string(),
            "locale": "en-US",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": interaction.guild},
            "context": 0,
            "attachment_size_limit": 10_485_760,
            "data": {
                "id": command_id,
                "name": command,
                "type": 1,
                "guild_id": interaction.guild,
                "resolved": self.resolve(*id, options),
                "options": options,
            },
        }))
    }

    /// The id of a command that members of a guild can use.
    fn command_id(&self, guild: u64, name: &str) -> Option<Value> {
        let named = |command: &&Value| command.get("name").and_then(Value::as_str) == Some(name);
        let lists = [guild, 0]
            .into_iter()
            .filter_map(|place| self.commands.registered.get(&place));
        lists.flatten().find(named)?.get("id").cloned()
    }

    /// The first answer to an interaction.
    pub(crate) fn answer_interaction(
        &mut self,
        id: u64,
        token: &str,
        body: &Value,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        let kind = body
            .get("type")
            .and_then(Value::as_u64)
            .ok_or_else(|| ApiError::required("type"))?;
        let interaction = self
            .commands
            .interactions
            .get(&id)
            .filter(|found| found.token == token);
        let interaction = interaction.ok_or_else(ApiError::unknown_interaction)?;
        if interaction.answered.is_some() {
            return Err(ApiError::already_acknowledged());
        }
        if interaction.started.elapsed() > FIRST_ANSWER {
            return Err(ApiError::unknown_interaction());
        }
        let channel = interaction.channel;
        let data = body.get("data").cloned().unwrap_or_default();
        let answer = match kind {
            4 => Some(self.interaction_message(channel, NewMessage::parse(&data)?, now)),
            5 => None,
            _ => {
                return Err(ApiError::form(
                    "type",
                    "BASE_TYPE_CHOICES",
                    "Value must be one of {4, 5}.",
                ));
            }
        };
        if let Some(interaction) = self.commands.interactions.get_mut(&id) {
            interaction.answered = Some(kind);
            interaction.answer = answer;
            interaction.ephemeral = data.get("flags").and_then(Value::as_u64).unwrap_or(0) & 64 != 0;
        }
        Ok(())
    }

    /// The interaction behind a webhook token, while it is good.
    pub(crate) fn interaction_of(&mut self, app: u64, token: &str) -> Result<&mut Interaction, ApiError> {
        if app != self.bot() {
            return Err(ApiError::unknown_webhook());
        }
        let found = self
            .commands
            .interactions
            .values_mut()
            .find(|interaction| interaction.token == token);
        let interaction = found.ok_or_else(ApiError::unknown_webhook)?;
        if interaction.started.elapsed() > TOKEN_LIFETIME {
            return Err(ApiError::invalid_webhook_token());
        }
        if interaction.answered.is_none() {
            return Err(ApiError::unknown_webhook());
        }
        Ok(interaction)
    }

    /// A message that only the interaction shows.
    pub(crate) fn interaction_message(
        &mut self,
        channel: Snowflake,
        new: NewMessage,
        now: DateTime<Utc>,
    ) -> Message {
        Message {
            id: self.ids.snowflake(now).into(),
            channel,
            author: self.bot().into(),
            content: new.content,
            at: now,
            embeds: new.embeds,
            components: new.components,
            nonce: new.nonce,
        }
    }

    /// The users and members that options of type 6 name.
    fn resolve(&self, guild: u64, options: &Value) -> Value {
        let named = options.as_array().into_iter().flatten();
        let ids = named
            .filter(|option| option.get("type") == Some(&6.into()))
            .filter_map(|option| option.get("value")?.as_str()?.parse::<u64>().ok());
        let (mut users, mut members) = (serde_json::Map::new(), serde_json::Map::new());
        for id in ids {
            users.insert(id.to_string(), self.user_json(id));
            if let Some(member) = self.guilds.get(&guild).and_then(|guild| guild.members.get(&id)) {
                let more = json!({"permissions": "0"});
                members.insert(id.to_string(), with(bare_member(member), more));
            }
        }
        json!({"users": users, "members": members})
    }
}

fn check_command(index: usize, command: &Value) -> Result<(), ApiError> {
    let text = |field: &str| command.get(field).and_then(Value::as_str).unwrap_or_default();
    let name = text("name");
    let fits =
        (1..=32).contains(&name.chars().count()) && !name.contains(char::is_uppercase) && !name.contains(' ');
    if !fits {
        let told = "Command name is invalid";
        return Err(ApiError::form(
            &format!("{index}.name"),
            "APPLICATION_COMMAND_INVALID_NAME",
            told,
        ));
    }
    if !(1..=100).contains(&text("description").chars().count()) {
        let told = "Must be between 1 and 100 in length.";
        return Err(ApiError::form(
            &format!("{index}.description"),
            "BASE_TYPE_BAD_LENGTH",
            told,
        ));
    }
    Ok(())
}
