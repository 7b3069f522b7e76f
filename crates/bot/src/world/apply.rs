//! What each event of the gateway changes.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{GuildId, RoleId};

use crate::{
    gateway::event::{Event, GuildBody, MemberBody},
    world::{Fact, Guild, Key, Presence, Sighting, State, World},
};

impl World {
    /// Takes an event in. Never waits.
    pub(crate) fn apply(&self, event: Event, sequence: u64) {
        let at = self.now();
        let mut state = self.state();
        state.heard(sequence);
        match event {
            Event::GuildCreate(guild) => self.guild_came(&mut state, guild),
            Event::GuildUpdate(guild) => self.guild_changed(&mut state, guild),
            Event::GuildDelete { guild_id } => {
                state.changes += 1;
                state.guilds.remove(&guild_id);
                state.members.forget_guild(guild_id);
            }
            Event::RoleSet { guild_id, role } => {
                state.changes += 1;
                if let Some(guild) = state.guilds.get_mut(&guild_id) {
                    guild.roles.insert(role.id, role);
                    self.show(&mut state, guild_id);
                }
            }
            Event::RoleDelete { guild_id, role_id } => self.role_gone(&mut state, guild_id, role_id),
            Event::MemberAdd(member) => self.member_seen(&mut state, member, at, true),
            Event::MemberUpdate(member) => self.member_seen(&mut state, member, at, false),
            Event::MemberRemove { guild_id, user_id } => {
                self.member_gone(&mut state, (guild_id, user_id), at);
            }
            Event::Ready(_) | Event::Resumed | Event::Other => {}
        }
    }

    /// A server is there, with all its roles, after a new session or an outage of its own: its people may have
    /// changed unheard.
    fn guild_came(&self, state: &mut State, body: GuildBody) {
        let guild_id = body.id;
        state.changes += 1;
        state.members.forget_guild(guild_id);
        let is_bot = |member: &&MemberBody| Some(member.user_id()) == state.bot;
        let bot_roles = body
            .members
            .iter()
            .find(is_bot)
            .map(|member| member.roles.clone());
        if self.is_ours(guild_id) {
            for member in body.members.iter().filter(|member| !is_bot(member)) {
                state
                    .members
                    .insert((guild_id, member.user_id()), Some(member.presence()));
            }
        }
        let guild = Guild::new(body.name, body.roles, bot_roles);
        let is_complete = guild.is_complete();
        state.guilds.insert(guild_id, guild);
        if !self.is_ours(guild_id) {
            return;
        }
        state.untold.insert(guild_id);
        if is_complete {
            self.show(state, guild_id);
        } else {
            state.doubted.insert(guild_id);
        }
    }

    fn guild_changed(&self, state: &mut State, body: GuildBody) {
        state.changes += 1;
        let Some(guild) = state.guilds.get_mut(&body.id) else {
            return;
        };
        let after = Guild::new(body.name, body.roles, guild.bot_roles.clone());
        if *guild != after {
            *guild = after;
            self.show(state, body.id);
        }
    }

    fn role_gone(&self, state: &mut State, guild_id: GuildId, role_id: RoleId) {
        state.changes += 1;
        state.members.strip(guild_id, role_id);
        if let Some(guild) = state.guilds.get_mut(&guild_id) {
            guild.roles.remove(&role_id);
            if let Some(roles) = &mut guild.bot_roles {
                roles.retain(|role| *role != role_id);
            }
            self.show(state, guild_id);
        }
    }

    fn member_seen(&self, state: &mut State, member: MemberBody, at: DateTime<Utc>, came: bool) {
        let Some(guild_id) = member.guild_id else { return };
        let user_id = member.user_id();
        if Some(user_id) == state.bot {
            self.bot_seen(state, guild_id, member.roles);
        } else if self.is_ours(guild_id) {
            self.sighted((guild_id, user_id), &Some(member.presence()), state, at, came);
        }
    }

    fn member_gone(&self, state: &mut State, key: Key, at: DateTime<Utc>) {
        if self.is_ours(key.0) && Some(key.1) != state.bot {
            self.sighted(key, &None, state, at, false);
        }
    }

    fn bot_seen(&self, state: &mut State, guild_id: GuildId, mut roles: Vec<RoleId>) {
        state.changes += 1;
        roles.sort_unstable();
        if let Some(guild) = state.guilds.get_mut(&guild_id)
            && guild.bot_roles.as_ref() != Some(&roles)
        {
            guild.bot_roles = Some(roles);
            self.show(state, guild_id);
        }
    }

    fn sighted(&self, key: Key, now: &Sighting, state: &mut State, at: DateTime<Utc>, came: bool) {
        let before = state.members.insert(key, now.clone());
        if let Some(watch) = state.writing.get_mut(&key) {
            watch.events += 1;
            watch.notify.notify_one();
            // What waits to be told from before must not be told as it was.
            state.outbox.update_member(key, now, at);
            return;
        }
        let fact = match self.news(key.0, before.as_ref(), now) {
            Some(Fact::Changed(presence)) if came => Some(Fact::Joined(presence)),
            fact => fact,
        };
        match fact {
            Some(fact) => self.tell_member(state, key, fact, at),
            None => state.outbox.update_member(key, now, at),
        }
    }

    /// Tells of a server of which enough is known.
    fn show(&self, state: &mut State, guild_id: GuildId) {
        let is_complete = state.guilds.get(&guild_id).is_some_and(Guild::is_complete);
        if is_complete && self.is_ours(guild_id) {
            let identified = state.untold.remove(&guild_id);
            self.tell_guild(state, guild_id, identified);
        }
    }
}

impl MemberBody {
    fn presence(&self) -> Presence {
        Presence {
            roles: self.roles.iter().copied().collect(),
            pending: self.pending(),
        }
    }
}
