//! People, as many as fit: whoever was not seen or asked for in a long time is forgotten.

use std::collections::{BTreeSet, HashMap};

use rolecall_domain::ids::{GuildId, RoleId};

use crate::world::Key;

/// People of a generation. Two generations are kept, of at most some hundred bytes a person.
const GENERATION: usize = 10_000;

/// Somebody who is in a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Presence {
    /// Their roles.
    pub(crate) roles: BTreeSet<RoleId>,
    /// Membership screening is not done yet.
    pub(crate) pending: bool,
}

/// Somebody as they were seen; `None` if they were not there.
pub(crate) type Sighting = Option<Presence>;

/// The people who were seen lately.
#[derive(Debug, Default)]
pub(crate) struct Members {
    young: HashMap<Key, Sighting>,
    old: HashMap<Key, Sighting>,
}

impl Members {
    pub(crate) fn get(&self, key: Key) -> Option<&Sighting> {
        self.young.get(&key).or_else(|| self.old.get(&key))
    }

    /// Keeps a sighting, and returns the one before.
    pub(crate) fn insert(&mut self, key: Key, sighting: Sighting) -> Option<Sighting> {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        let older = self.old.remove(&key);
        self.young.insert(key, sighting).or(older)
    }

    /// Nothing is known of somebody any more.
    pub(crate) fn forget(&mut self, key: Key) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    /// Nothing is known of a server's people any more.
    pub(crate) fn forget_guild(&mut self, guild_id: GuildId) {
        self.young.retain(|(guild, _), _| *guild != guild_id);
        self.old.retain(|(guild, _), _| *guild != guild_id);
    }

    /// A role was deleted: nobody has it any more, and no event says so for each of them.
    pub(crate) fn strip(&mut self, guild_id: GuildId, role: RoleId) {
        let people = self.young.iter_mut().chain(&mut self.old);
        for (_, sighting) in people.filter(|((guild, _), _)| *guild == guild_id) {
            if let Some(presence) = sighting {
                presence.roles.remove(&role);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rolecall_domain::ids::DiscordUserId;

    use super::*;

    fn key(user: u64) -> Key {
        (GuildId::new(1).unwrap(), DiscordUserId::new(user).unwrap())
    }

    #[test]
    fn who_was_not_seen_in_a_long_time_is_forgotten_and_the_others_are_not() {
        let mut members = Members::default();
        let size = u64::try_from(GENERATION).unwrap();
        for user in 1..=3 * size {
            members.insert(key(user), None);
            members.insert(key(1), Some(Presence::default()));
        }
        assert_eq!(
            members.get(key(1)),
            Some(&Some(Presence::default())),
            "seen all the time"
        );
        assert_eq!(members.get(key(3 * size)), Some(&None));
        assert_eq!(members.get(key(2)), None);
        assert!(members.young.len() + members.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn the_sighting_before_is_found_in_either_generation() {
        let mut members = Members::default();
        assert_eq!(members.insert(key(1), None), None);
        assert_eq!(members.insert(key(1), Some(Presence::default())), Some(None));
        members.old = std::mem::take(&mut members.young);
        assert_eq!(members.insert(key(1), None), Some(Some(Presence::default())));
    }
}
