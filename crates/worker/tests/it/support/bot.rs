//! A model of the bot and its Discord server: carries commands out as the real one does, and reports
//! the truth of what it then sees. What goes wrong in Discord is told by its public fields.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use rolecall_queue::jobs::{ApplyRoles, MessageResult, RoleOutcome, RoleResult, SendDirectMessage};

/// Discord's code for a role order that stands in the way.
pub(crate) const MISSING_PERMISSIONS: i64 = 50_013;

type Key = (GuildId, DiscordUserId);

#[derive(Debug, Default)]
pub(crate) struct Bot {
    /// Who is in which server, with which roles.
    people: BTreeMap<Key, BTreeSet<RoleId>>,
    /// The newest revision heard of.
    newest: BTreeMap<Key, i64>,
    begun: BTreeSet<(Key, i64)>,
    /// Roles that the server does not let the bot write.
    pub(crate) refused: BTreeSet<RoleId>,
    /// The server does not let the bot remove anybody.
    pub(crate) keeps_everybody: bool,
    /// Discord says yes to every write and does nothing.
    pub(crate) lies: bool,
    /// Every command that was carried out.
    pub(crate) log: Vec<ApplyRoles>,
    /// What to say to every direct message; yes unless told otherwise.
    pub(crate) message_result: Option<MessageResult>,
    /// Every direct message that was taken.
    pub(crate) messages: Vec<SendDirectMessage>,
}

impl Bot {
    /// Somebody comes by themselves, with these roles.
    pub(crate) fn put(&mut self, key: Key, roles: &[RoleId]) {
        self.people.insert(key, roles.iter().copied().collect());
    }

    /// Somebody leaves.
    pub(crate) fn remove(&mut self, key: Key) {
        self.people.remove(&key);
    }

    /// Their roles; nobody has none.
    pub(crate) fn roles(&self, key: Key) -> BTreeSet<RoleId> {
        self.people.get(&key).cloned().unwrap_or_default()
    }

    pub(crate) fn is_in(&self, key: Key) -> bool {
        self.people.contains_key(&key)
    }

    /// Somebody's roles, for staff to change.
    pub(crate) fn roles_mut(&mut self, key: Key) -> &mut BTreeSet<RoleId> {
        self.people.get_mut(&key).expect("the person is in the server")
    }

    /// Carries a command out and says what came of it. One that is older than another one heard of is
    /// dropped.
    pub(crate) fn carry_out(&mut self, command: &ApplyRoles, at: DateTime<Utc>) -> Vec<RoleOutcome> {
        let key = (command.guild_id, command.user_id);
        let newest = self.newest.entry(key).or_insert(command.revision);
        if command.revision < *newest {
            return Vec::new();
        }
        *newest = command.revision;
        let first = self.begun.insert((key, command.revision));
        self.log.push(command.clone());
        let results = self.results(key, command, first);
        results
            .into_iter()
            .map(|result| outcome(command, at, result))
            .collect()
    }

    /// Writes a direct message.
    pub(crate) fn write(&mut self, message: &SendDirectMessage) -> MessageResult {
        let result = self.message_result.clone().unwrap_or(MessageResult::Sent);
        if result == MessageResult::Sent {
            self.messages.push(message.clone());
        }
        result
    }

    fn results(&mut self, key: Key, command: &ApplyRoles, first: bool) -> Vec<RoleResult> {
        let joins = !self.is_in(key) && command.join.is_some() && !command.add.is_empty();
        if joins {
            self.people.insert(key, BTreeSet::new());
        }
        if command.kick.is_some() && command.add.is_empty() && self.is_in(key) && !self.keeps_everybody {
            self.remove(key);
            return vec![RoleResult::NotInGuild { kicked: true }];
        }
        let Some(roles) = self.people.get_mut(&key) else {
            return vec![RoleResult::NotInGuild { kicked: false }];
        };
        let already = command
            .add
            .iter()
            .copied()
            .filter(|role| first && !joins && roles.contains(role));
        let already: Vec<RoleId> = already.collect();
        let adds = command.add.iter().filter(|role| !roles.contains(*role));
        let removes = command.remove.iter().filter(|role| roles.contains(*role));
        let (refused, writable): (Vec<RoleId>, Vec<RoleId>) =
            adds.chain(removes).partition(|role| self.refused.contains(*role));
        for role in writable.into_iter().filter(|_| !self.lies) {
            if command.add.contains(&role) {
                roles.insert(role);
            } else {
                roles.remove(&role);
            }
        }
        let roles = roles.iter().copied().collect();
        let applied = RoleResult::Applied {
            roles,
            already,
            joined: joins,
            pending: false,
        };
        let blocked = (!refused.is_empty()).then(|| RoleResult::Blocked {
            code: MISSING_PERMISSIONS,
            roles: refused,
            message: "the role is not below the bot's highest role".to_owned(),
        });
        let kept = command.kick.map(|_| RoleResult::Blocked {
            code: MISSING_PERMISSIONS,
            roles: Vec::new(),
            message: "the bot lacks the permission Kick Members".to_owned(),
        });
        [applied].into_iter().chain(blocked).chain(kept).collect()
    }
}

/// The report on a command, by a bot that holds the first lease.
pub(crate) fn outcome(command: &ApplyRoles, at: DateTime<Utc>, result: RoleResult) -> RoleOutcome {
    RoleOutcome {
        guild_id: command.guild_id,
        user_id: command.user_id,
        revision: command.revision,
        fence: 1,
        at,
        result,
    }
}
