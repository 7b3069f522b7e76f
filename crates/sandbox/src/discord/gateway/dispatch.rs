//! The events: each goes only to sessions whose intents permit it.

use serde_json::{Value, json};

use crate::discord::{
    gateway::intents::{
        DIRECT_MESSAGES, GUILD_MEMBERS, GUILD_MESSAGES, GUILD_PRESENCES, GUILDS, MESSAGE_CONTENT,
    },
    gateway::session::Session,
    json::{self, with},
    state::{
        World,
        channels::{Message, Place},
    },
};

impl World {
    /// Sends an event of a guild to the sessions that asked for `intent`.
    fn dispatch(&mut self, event: &str, guild: u64, intent: u64, data: &Value) {
        self.gateway.broadcast(event, |session| {
            (session.covers(guild) && session.intents & intent != 0).then(|| data.clone())
        });
    }

    pub(crate) fn dispatch_member_add(&mut self, guild: u64, user: u64) {
        if let Some(data) = self.member_with_guild(guild, user) {
            self.dispatch("GUILD_MEMBER_ADD", guild, GUILD_MEMBERS, &data);
        }
    }

    /// Changes of the bot itself are sent whatever the intents.
    pub(crate) fn dispatch_member_update(&mut self, guild: u64, user: u64) {
        if self.gateway.switches.no_member_updates {
            return;
        }
        let intents = if user == self.bot() {
            u64::MAX
        } else {
            GUILD_MEMBERS
        };
        if let Some(data) = self.member_with_guild(guild, user) {
            self.dispatch("GUILD_MEMBER_UPDATE", guild, intents, &data);
        }
    }

    pub(crate) fn dispatch_member_remove(&mut self, guild: u64, user: u64) {
        let data = json!({"guild_id": guild.to_string(), "user": self.user_json(user)});
        self.dispatch("GUILD_MEMBER_REMOVE", guild, GUILD_MEMBERS, &data);
    }

    /// `GUILD_ROLE_CREATE` or `GUILD_ROLE_UPDATE`.
    pub(crate) fn dispatch_role(&mut self, event: &str, guild: u64, role: u64) {
        let role = self
            .guilds
            .get(&guild)
            .and_then(|guild| guild.roles.get(&role))
            .map(json::role);
        if let Some(role) = role {
            self.dispatch(
                event,
                guild,
                GUILDS,
                &json!({"guild_id": guild.to_string(), "role": role}),
            );
        }
    }

    pub(crate) fn dispatch_role_delete(&mut self, guild: u64, role: u64) {
        let data = json!({"guild_id": guild.to_string(), "role_id": role.to_string()});
        self.dispatch("GUILD_ROLE_DELETE", guild, GUILDS, &data);
    }

    /// The bot was let into a guild.
    pub(crate) fn dispatch_guild_create(&mut self, guild: u64) {
        let sessions: Vec<String> = self
            .gateway
            .sessions
            .values()
            .filter(|session| session.covers(guild) && session.intents & GUILDS != 0)
            .map(|session| session.id.clone())
            .collect();
        for session in sessions {
            self.emit_guild_create(&session, guild);
        }
    }

    /// The bot was removed from a guild. `unavailable` is left out: the guild is not merely away.
    pub(crate) fn dispatch_guild_delete(&mut self, guild: u64) {
        self.dispatch("GUILD_DELETE", guild, GUILDS, &json!({"id": guild.to_string()}));
    }

    /// Sends `GUILD_CREATE` to one session.
    pub(crate) fn emit_guild_create(&mut self, session_id: &str, guild: u64) {
        let data = self
            .gateway
            .sessions
            .get(session_id)
            .and_then(|session| self.guild_create(session, guild));
        if let Some(data) = data {
            self.gateway.emit(session_id, "GUILD_CREATE", &data);
        }
    }

    pub(crate) fn dispatch_message(&mut self, message: &Message) {
        let Some(channel) = self.channels.get(&message.channel.0) else {
            return;
        };
        let full = self.message_json(message);
        let from_bot = message.author.0 == self.bot();
        let (guild, intent, full) = match &channel.place {
            Place::Direct { .. } => (0, DIRECT_MESSAGES, full),
            Place::Guild { guild, .. } => {
                let member = self
                    .guilds
                    .get(guild)
                    .and_then(|guild| guild.members.get(&message.author.0));
                let member = member.map(json::bare_member);
                let of_guild = json!({"guild_id": guild.to_string(), "member": member});
                (*guild, GUILD_MESSAGES, with(full, of_guild))
            }
        };
        let private = json!({"content": "", "embeds": [], "components": [], "attachments": []});
        let redacted = with(full.clone(), private);
        self.gateway.broadcast("MESSAGE_CREATE", |session| {
            if session.intents & intent == 0 || !session.covers(guild) {
                return None;
            }
            let readable = from_bot || intent == DIRECT_MESSAGES || session.intents & MESSAGE_CONTENT != 0;
            Some(if readable { full.clone() } else { redacted.clone() })
        });
    }

    fn member_with_guild(&self, guild: u64, user: u64) -> Option<Value> {
        let member = self.guilds.get(&guild)?.members.get(&user)?;
        Some(with(
            self.member_json(member),
            json!({"guild_id": guild.to_string()}),
        ))
    }

    /// As Discord documents it: without `GUILD_PRESENCES` the only member listed is the bot itself.
    fn guild_create(&self, session: &Session, guild: u64) -> Option<Value> {
        let guild = self.guilds.get(&guild)?;
        let bot = guild.members.get(&self.bot())?;
        let large = guild.members.len() > session.large_threshold;
        let everyone = session.intents & GUILD_PRESENCES != 0 && !large;
        let members: Vec<Value> = guild
            .members
            .values()
            .filter(|member| everyone || member.user == bot.user)
            .map(|member| self.member_json(member))
            .collect();
        let channels: Vec<Value> = guild
            .channels
            .iter()
            .filter_map(|id| self.channels.get(id))
            .map(|channel| self.channel_json(channel))
            .collect();
        let more = json!({
            "joined_at": json::timestamp(bot.joined_at),
            "large": large,
            "unavailable": false,
            "member_count": guild.members.len(),
            "members": members,
            "channels": channels,
            "threads": [],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        });
        Some(with(json::guild(guild), more))
    }
}
