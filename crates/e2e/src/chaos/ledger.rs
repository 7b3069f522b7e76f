//! What there was cause for: how often each role of each person had to come and go at most.

use std::collections::{BTreeMap, BTreeSet};

/// A person's role, in the simulated server.
pub type Held = (u64, u64);

/// The causes so far.
#[derive(Debug, Default)]
pub struct Ledger {
    deserved: BTreeMap<u64, BTreeSet<u64>>,
    gains: BTreeMap<Held, usize>,
    losses: BTreeMap<Held, usize>,
    foreign: BTreeMap<u64, BTreeSet<u64>>,
}

impl Ledger {
    /// Notes what somebody deserves now. What has come since the last look must be given once at most, and what has
    /// gone taken once at most.
    pub fn note(&mut self, user: u64, now: &BTreeSet<u64>) {
        let before = self.deserved.insert(user, now.clone()).unwrap_or_default();
        for role in now.difference(&before) {
            *self.gains.entry((user, *role)).or_default() += 1;
        }
        for role in before.difference(now) {
            *self.losses.entry((user, *role)).or_default() += 1;
        }
    }

    /// Somebody has lost these roles by no act of ours; what they deserve of it has to be given once more.
    pub fn lost(&mut self, user: u64, roles: &[u64]) {
        for role in roles {
            *self.gains.entry((user, *role)).or_default() += 1;
        }
    }

    /// The roles of staff's that somebody has now.
    pub fn set_foreign(&mut self, user: u64, roles: BTreeSet<u64>) {
        self.foreign.insert(user, roles);
    }

    /// The roles of staff's that somebody has.
    pub fn foreign(&self, user: u64) -> BTreeSet<u64> {
        self.foreign.get(&user).cloned().unwrap_or_default()
    }

    /// How often a role had to come at most.
    pub fn gains(&self, held: Held) -> usize {
        self.gains.get(&held).copied().unwrap_or_default()
    }

    /// How often a role had to go at most.
    pub fn losses(&self, held: Held) -> usize {
        self.losses.get(&held).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_is_a_cause() {
        let mut ledger = Ledger::default();
        let roles = |roles: &[u64]| roles.iter().copied().collect::<BTreeSet<u64>>();
        ledger.note(1, &roles(&[7]));
        ledger.note(1, &roles(&[7]));
        ledger.note(1, &roles(&[7, 8]));
        ledger.note(1, &roles(&[]));
        ledger.note(2, &roles(&[7]));
        ledger.lost(2, &[7]);
        assert_eq!((ledger.gains((1, 7)), ledger.losses((1, 7))), (1, 1));
        assert_eq!((ledger.gains((1, 8)), ledger.losses((1, 8))), (1, 1));
        assert_eq!((ledger.gains((2, 7)), ledger.losses((2, 7))), (2, 0));
    }
}
