//! What is known of the servers: kept by the gateway's events, and by looks where those are not enough.
//!
//! All of it is memory behind one lock that is never held across a wait, so that the gateway's task can hand an
//! event over and go on.

mod apply;
mod guild;
mod members;
mod outbox;
mod session;
#[cfg(test)]
mod tests;
mod writing;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use chrono::{DateTime, Utc};
use rolecall_domain::{
    clock::Clock,
    hierarchy::{Fault, Untouchable},
    ids::{DiscordUserId, GuildId, RoleId},
};
use rolecall_queue::jobs::GuildObserved;
use tokio::sync::Notify;

pub(crate) use crate::world::{
    guild::Guild,
    members::{Presence, Sighting},
    outbox::{Fact, Next, Subject, Ticket},
    session::SavedSession,
    writing::Writing,
};
use crate::{
    catalog::Catalog,
    world::{members::Members, outbox::Outbox, session::Session, writing::Watch},
};

/// A person in a server.
pub(crate) type Key = (GuildId, DiscordUserId);

/// What is known of the servers.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    catalog: Arc<Catalog>,
    /// The server that is ours even before the catalog names it.
    home: GuildId,
    /// Whether the gateway tells of other people than the bot.
    sees_members: bool,
    clock: Arc<dyn Clock>,
    /// There is something to publish.
    pub(crate) stirred: Notify,
}

#[derive(Debug, Default)]
struct State {
    bot: Option<DiscordUserId>,
    session: Option<Session>,
    /// The session is carried by a connection, and every event up to now has been heard.
    live: bool,
    guilds: HashMap<GuildId, Guild>,
    members: Members,
    writing: HashMap<Key, Watch>,
    outbox: Outbox,
    /// Servers to be looked at by REST.
    doubted: HashSet<GuildId>,
    /// Servers that a new session has shown, and that are told as such once enough is known of them.
    untold: HashSet<GuildId>,
    /// Servers that are told of after the next look, changed or not.
    retold: HashSet<GuildId>,
    /// How often the gateway has told of a change to a server: a look that began before one shows what was before.
    changes: u64,
}

impl World {
    pub(crate) fn new(
        catalog: &Arc<Catalog>,
        clock: &Arc<dyn Clock>,
        home: GuildId,
        sees_members: bool,
    ) -> Self {
        Self {
            state: Mutex::default(),
            catalog: Arc::clone(catalog),
            home,
            sees_members,
            clock: Arc::clone(clock),
            stirred: Notify::new(),
        }
    }

    /// Forgets everything: a new term begins.
    pub(crate) fn reset(&self) {
        *self.state() = State::default();
    }

    /// Whether a server is ours.
    pub(crate) fn is_ours(&self, guild_id: GuildId) -> bool {
        guild_id == self.home
            || self
                .catalog
                .known()
                .is_some_and(|catalog| catalog.guild(guild_id).is_some())
    }

    /// The servers that are ours.
    fn ours(&self) -> Vec<GuildId> {
        let catalog = self.catalog.known();
        let mut ours: Vec<GuildId> = catalog
            .iter()
            .flat_map(|known| &known.guilds)
            .map(|guild| guild.guild_id)
            .collect();
        if !ours.contains(&self.home) {
            ours.push(self.home);
        }
        ours
    }

    /// Somebody as the gateway knows them, if it has told everything about them up to now.
    pub(crate) fn fresh(&self, key: Key) -> Option<Sighting> {
        let state = self.state();
        if state.live && self.sees_members {
            state.members.get(key).cloned()
        } else {
            None
        }
    }

    /// Whether the gateway will tell what we write.
    pub(crate) fn echoes(&self) -> bool {
        self.sees_members && self.state().live
    }

    /// What keeps the bot from giving and taking a role, as far as is known.
    pub(crate) fn fault_of(&self, guild_id: GuildId, role: RoleId) -> Option<Fault> {
        let state = self.state();
        let guild = state.guilds.get(&guild_id).filter(|_| state.live)?;
        let about = |fault: &Fault| fault.role() == Some(role) || matches!(fault, Fault::ManageRolesMissing);
        guild.faults(guild_id, &[role])?.into_iter().find(about)
    }

    /// What keeps the bot from adding people, as far as is known.
    pub(crate) fn join_fault(&self, guild_id: GuildId) -> Option<Fault> {
        let state = self.state();
        let guild = state.guilds.get(&guild_id).filter(|_| state.live)?;
        guild
            .faults(guild_id, &[])?
            .into_iter()
            .find(|fault| matches!(fault, Fault::CreateInviteMissing))
    }

    /// Whether the bot may remove somebody with these roles. `None` if that is not known.
    pub(crate) fn may_remove(&self, guild_id: GuildId, held: &[RoleId]) -> Option<Result<(), Untouchable>> {
        let state = self.state();
        let guild = state.guilds.get(&guild_id).filter(|_| state.live)?;
        guild.may_remove(guild_id, held)
    }

    /// A role's name.
    pub(crate) fn role_name(&self, guild_id: GuildId, role: RoleId) -> Option<String> {
        self.state()
            .guilds
            .get(&guild_id)?
            .role_name(role)
            .map(str::to_owned)
    }

    /// Everything that keeps mapped roles from being given, in words. `None` while nothing is known.
    pub(crate) fn setup_faults(&self) -> Option<Vec<String>> {
        let ours = self.ours();
        let state = self.state();
        state.session.as_ref()?;
        let mut problems = Vec::new();
        for guild_id in ours {
            let Some(guild) = state.guilds.get(&guild_id) else {
                if self.catalog.is_retired(guild_id) {
                    continue;
                }
                problems.push(format!(
                    "the bot is not in the server {guild_id}, or cannot see it: invite it"
                ));
                continue;
            };
            let mapped: Vec<RoleId> = self
                .catalog
                .mapped(guild_id)
                .unwrap_or_default()
                .into_iter()
                .collect();
            let mut faults = guild.faults(guild_id, &mapped).unwrap_or_default();
            if self.catalog.removes_people(guild_id) {
                faults.extend(guild.kick_fault(guild_id));
            }
            problems.extend(
                faults
                    .iter()
                    .map(|fault| format!("{}: {fault}. {}", guild.name, fault.fix())),
            );
        }
        Some(problems)
    }

    /// A server as it was seen last.
    pub(crate) fn observed(&self, guild_id: GuildId, identified: bool) -> Option<GuildObserved> {
        let state = self.state();
        let bot = state.bot?;
        state.guilds.get(&guild_id)?.observed(guild_id, bot, identified)
    }

    /// The servers that have to be looked at by REST, because the gateway has not told or Discord acts otherwise than
    /// what it told.
    pub(crate) fn to_look_at(&self) -> HashSet<GuildId> {
        let mut state = self.state();
        if state.live {
            std::mem::take(&mut state.doubted)
        } else {
            HashSet::new()
        }
    }

    /// The bot's account, where a session has told it.
    pub(crate) fn bot(&self) -> Option<DiscordUserId> {
        self.state().bot
    }

    /// How often the gateway has told of a change to a server.
    pub(crate) fn changes(&self) -> u64 {
        self.state().changes
    }

    /// What is known of a server may be wrong: it is looked at again.
    pub(crate) fn doubt(&self, guild_id: GuildId) {
        self.state().doubted.insert(guild_id);
    }

    /// The same of all servers of ours. What is seen is told even if nothing has changed: somebody may have mended
    /// what no picture of a server shows.
    pub(crate) fn doubt_all(&self) {
        let ours = self.ours();
        let mut state = self.state();
        state.doubted.extend(&ours);
        state.retold.extend(ours);
    }

    /// Redis has lost what was told and not yet heard: the servers of ours are told as those of a new session are.
    pub(crate) fn redis_forgot(&self) {
        let ours = self.ours();
        let mut state = self.state();
        state.doubted.extend(&ours);
        state.untold.extend(ours);
    }

    /// The same of those of ours of which nothing is known.
    fn doubt_unknown(&self, state: &mut State) {
        for guild_id in self.ours() {
            if state
                .guilds
                .get(&guild_id)
                .is_none_or(|guild| !guild.is_complete())
            {
                state.doubted.insert(guild_id);
            }
        }
    }

    /// A server was looked at, beginning after so many changes. What the gateway has told since is newer.
    pub(crate) fn looked_at(&self, guild_id: GuildId, guild: Option<Guild>, changes: u64) {
        let ours = self.is_ours(guild_id);
        let mut state = self.state();
        if state.changes != changes {
            state.doubted.insert(guild_id);
            return;
        }
        match guild {
            Some(guild) => {
                let changed = state.guilds.get(&guild_id) != Some(&guild);
                state.guilds.insert(guild_id, guild);
                let identified = state.untold.remove(&guild_id);
                let again = state.retold.remove(&guild_id);
                if (changed || identified || again) && ours {
                    self.tell_guild(&mut state, guild_id, identified);
                }
            }
            None => {
                state.guilds.remove(&guild_id);
            }
        }
    }

    /// The catalog has changed: every server of ours is shown again.
    pub(crate) fn catalog_changed(&self) {
        let ours = self.ours();
        let mut state = self.state();
        for guild_id in ours {
            if state.guilds.contains_key(&guild_id) {
                self.tell_guild(&mut state, guild_id, false);
            }
        }
        self.doubt_unknown(&mut state);
    }

    /// What is to be published next.
    pub(crate) fn next_fact(&self) -> Next {
        self.state().outbox.next(Instant::now())
    }

    /// The fact that was to be published is.
    pub(crate) fn published(&self) {
        self.state().outbox.done();
    }

    fn tell_guild(&self, state: &mut State, guild_id: GuildId, identified: bool) {
        let sequence = state.sequence();
        state
            .outbox
            .put_guild(guild_id, identified, sequence, Instant::now());
        self.stirred.notify_one();
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
