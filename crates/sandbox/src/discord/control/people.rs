//! What people do.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::discord::{
    control::ActionError,
    error::ApiError,
    ids::Snowflake,
    state::{World, channels::NewMessage, commands::Usage},
};

/// An action of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum PeopleAction {
    /// A person makes an account.
    AddUser {
        /// The name shown; the unique name is made from it.
        name: String,
        /// The e-mail address.
        #[serde(default)]
        email: Option<String>,
        /// Whether the address is confirmed.
        #[serde(default)]
        verified: bool,
    },
    /// A person deletes their account.
    RemoveUser {
        /// Who.
        user: Snowflake,
    },
    /// A person, or the bot, joins a server.
    Join {
        /// Where.
        guild: Snowflake,
        /// Who.
        user: Snowflake,
    },
    /// A person leaves, or the bot is removed.
    Leave {
        /// Where.
        guild: Snowflake,
        /// Who.
        user: Snowflake,
    },
    /// A new member accepts the rules.
    PassScreening {
        /// Where.
        guild: Snowflake,
        /// Who.
        user: Snowflake,
    },
    /// A person opens or closes their direct messages.
    SetDms {
        /// Who.
        user: Snowflake,
        /// Whether the bot can write to them.
        open: bool,
    },
    /// A person removes the application from their account: all their tokens end.
    Deauthorize {
        /// Who.
        user: Snowflake,
    },
    /// A person writes in a channel.
    PostMessage {
        /// Where.
        channel: Snowflake,
        /// Who.
        user: Snowflake,
        /// What.
        content: String,
    },
    /// A member uses a slash command.
    UseCommand {
        /// Where.
        guild: Snowflake,
        /// Who.
        user: Snowflake,
        /// The command's name.
        command: String,
        /// Its options as Discord sends them.
        #[serde(default)]
        options: Vec<Value>,
    },
}

impl World {
    /// Does it; answers with the id of what was made.
    pub(crate) fn act_as_people(
        &mut self,
        action: PeopleAction,
        now: DateTime<Utc>,
    ) -> Result<Option<u64>, ActionError> {
        match action {
            PeopleAction::AddUser {
                name,
                email,
                verified,
            } => {
                let user = self.add_user(&name, email.as_deref(), verified, now);
                return user.map(Some).map_err(ActionError::Invalid);
            }
            PeopleAction::RemoveUser { user } => self.remove_user(user.0, now)?,
            PeopleAction::Join { guild, user } => {
                if !self.join(guild.0, user.0, BTreeSet::new(), now)? {
                    return Err(ActionError::Invalid("They are a member already.".to_owned()));
                }
            }
            PeopleAction::Leave { guild, user } => self.leave(guild.0, user.0, None, now)?,
            PeopleAction::PassScreening { guild, user } => self.pass_screening(guild.0, user.0)?,
            PeopleAction::SetDms { user, open } => {
                self.users
                    .get_mut(&user.0)
                    .ok_or_else(ApiError::unknown_user)?
                    .dms_closed = !open;
            }
            PeopleAction::Deauthorize { user } => {
                self.user(user.0)?;
                self.grants.revoke_user(user.0);
            }
            PeopleAction::PostMessage {
                channel,
                user,
                content,
            } => {
                self.user(user.0)?;
                let message = self.post_message(channel.0, user.0, NewMessage::text(content), now)?;
                return Ok(Some(message.id.0));
            }
            PeopleAction::UseCommand {
                guild,
                user,
                command,
                options,
            } => {
                let options = Value::Array(options);
                let usage = Usage {
                    guild: guild.0,
                    user: user.0,
                    command,
                    options,
                };
                return Ok(Some(self.use_command(usage, now)?));
            }
        }
        Ok(None)
    }
}
