//! Everything the simulator remembers, behind one lock.

pub mod audit;
pub mod channels;
pub mod commands;
pub(crate) mod guild;
pub(crate) mod membership;
pub mod permissions;
pub(crate) mod roles;
pub(crate) mod shared;
pub(crate) mod users;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::discord::{
    config::{ApplicationSeed, Config, PrivilegedIntents},
    error::ApiError,
    faults::Faults,
    gateway::Gateway,
    ids::IdSource,
    limits::Limiter,
    oauth::grants::Grants,
    request_log::RequestLog,
    state::{
        audit::AuditEntry,
        channels::{Channel, Message},
        commands::Commands,
        guild::Guild,
        users::User,
    },
};

/// The simulated Discord.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) application: ApplicationSeed,
    /// The token that is good now; `None` after Discord has taken it away.
    pub(crate) bot_token: Option<String>,
    pub(crate) users: BTreeMap<u64, User>,
    pub(crate) guilds: BTreeMap<u64, Guild>,
    pub(crate) channels: BTreeMap<u64, Channel>,
    pub(crate) messages: Vec<Message>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) commands: Commands,
    pub(crate) grants: Grants,
    pub(crate) gateway: Gateway,
    pub(crate) limiter: Limiter,
    pub(crate) faults: Faults,
    pub(crate) requests: RequestLog,
    pub(crate) ids: IdSource,
}

impl World {
    pub(crate) fn new(config: &Config, now: DateTime<Utc>) -> Self {
        let application = config.application.clone();
        let bot = User::bot(application.client_id, &application.name);
        let people = config.users.iter().map(User::from_seed);
        let guilds = config
            .guilds
            .iter()
            .map(|seed| Guild::from_seed(seed, application.client_id, now));
        let channels = config.guilds.iter().flat_map(Channel::of_guild);
        Self {
            bot_token: Some(application.bot_token.clone()),
            users: people
                .chain(std::iter::once(bot))
                .map(|user| (user.id, user))
                .collect(),
            guilds: guilds.map(|guild| (guild.id, guild)).collect(),
            channels: channels.map(|channel| (channel.id, channel)).collect(),
            messages: Vec::new(),
            audit: Vec::new(),
            commands: Commands::default(),
            grants: Grants::default(),
            gateway: Gateway::new(config.gateway.clone()),
            limiter: Limiter::new(config.limits.clone()),
            faults: Faults::default(),
            requests: RequestLog::default(),
            ids: IdSource::new(now),
            application,
        }
    }

    /// The bot's user id.
    pub(crate) fn bot(&self) -> u64 {
        self.application.client_id
    }

    /// The privileged intents that are switched on.
    pub(crate) fn privileged_intents(&self) -> PrivilegedIntents {
        self.application.privileged_intents
    }

    pub(crate) fn guild(&self, id: u64) -> Result<&Guild, ApiError> {
        self.guilds.get(&id).ok_or_else(ApiError::unknown_guild)
    }

    pub(crate) fn guild_mut(&mut self, id: u64) -> Result<&mut Guild, ApiError> {
        self.guilds.get_mut(&id).ok_or_else(ApiError::unknown_guild)
    }

    /// The guild, as the bot may see it: it must be a member.
    pub(crate) fn guild_of_bot(&self, id: u64) -> Result<&Guild, ApiError> {
        let guild = self.guild(id)?;
        if guild.members.contains_key(&self.bot()) {
            Ok(guild)
        } else {
            Err(ApiError::missing_access())
        }
    }

    pub(crate) fn user(&self, id: u64) -> Result<&User, ApiError> {
        self.users.get(&id).ok_or_else(ApiError::unknown_user)
    }

    /// Refuses an unknown user and one who is not in the guild, in Discord's two ways.
    pub(crate) fn require_member(&self, guild: u64, user: u64) -> Result<(), ApiError> {
        self.user(user)?;
        self.guild(guild)?.member(user).map(|_| ())
    }
}
