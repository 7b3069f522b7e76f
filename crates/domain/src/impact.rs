//! What a change of plans or policy would do to people, counted before it is made.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{catalog::GuildRole, roles::DesiredRoles};

/// How many people a change moves, and which roles they would lose or gain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Impact {
    /// People looked at.
    pub members: u64,
    /// Those whose roles would change.
    pub changed: u64,
    /// Those who have some role of ours now.
    pub with_roles_before: u64,
    /// Those who would have one after.
    pub with_roles_after: u64,
    /// How many would lose or gain each role.
    pub roles: Vec<RoleImpact>,
    #[serde(skip)]
    by_role: BTreeMap<GuildRole, (u64, u64)>,
}

/// What happens to one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RoleImpact {
    /// The role.
    #[serde(flatten)]
    pub role: GuildRole,
    /// How many would lose it.
    pub lose: u64,
    /// How many would gain it.
    pub gain: u64,
}

impl Impact {
    /// Counts one person.
    pub fn count(&mut self, before: &DesiredRoles, after: &DesiredRoles) {
        let (before, after) = (flat(before), flat(after));
        self.members += 1;
        self.with_roles_before += u64::from(!before.is_empty());
        self.with_roles_after += u64::from(!after.is_empty());
        self.changed += u64::from(before != after);
        for role in before.difference(&after) {
            self.by_role.entry(*role).or_default().0 += 1;
        }
        for role in after.difference(&before) {
            self.by_role.entry(*role).or_default().1 += 1;
        }
    }

    /// The count, with the roles in order.
    #[must_use]
    pub fn finish(mut self) -> Self {
        let roles = std::mem::take(&mut self.by_role).into_iter();
        self.roles = roles
            .map(|(role, (lose, gain))| RoleImpact { role, lose, gain })
            .collect();
        self
    }

    /// Whether nobody would keep any role though somebody has one: then the change is a mistake.
    pub const fn locks_everybody_out(&self) -> bool {
        self.with_roles_before > 0 && self.with_roles_after == 0
    }
}

fn flat(desired: &DesiredRoles) -> BTreeSet<GuildRole> {
    let of_guild = |(guild, roles): (&_, &BTreeMap<_, _>)| -> Vec<GuildRole> {
        roles
            .keys()
            .map(|role| GuildRole {
                guild: *guild,
                role: *role,
            })
            .collect()
    };
    desired.iter().flat_map(of_guild).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GuildId, RoleId};

    fn role(id: u64) -> GuildRole {
        GuildRole {
            guild: GuildId::new(1).unwrap(),
            role: RoleId::new(id).unwrap(),
        }
    }

    fn desired(roles: &[u64]) -> DesiredRoles {
        let mut desired = DesiredRoles::new();
        for id in roles {
            let GuildRole { guild, role } = role(*id);
            desired.entry(guild).or_default().insert(role, BTreeSet::new());
        }
        desired
    }

    #[test]
    fn losses_and_gains_are_counted_by_role() {
        let mut impact = Impact::default();
        impact.count(&desired(&[10]), &desired(&[20]));
        impact.count(&desired(&[10, 20]), &desired(&[20]));
        impact.count(&desired(&[20]), &desired(&[20]));
        impact.count(&desired(&[]), &desired(&[]));
        let impact = impact.finish();
        assert_eq!((impact.members, impact.changed), (4, 2));
        assert_eq!((impact.with_roles_before, impact.with_roles_after), (3, 3));
        let expected = [
            RoleImpact {
                role: role(10),
                lose: 2,
                gain: 0,
            },
            RoleImpact {
                role: role(20),
                lose: 0,
                gain: 1,
            },
        ];
        assert_eq!(impact.roles, expected);
        assert!(!impact.locks_everybody_out());
    }

    #[test]
    fn a_change_that_leaves_nobody_with_a_role_locks_everybody_out() {
        let mut impact = Impact::default();
        assert!(!impact.locks_everybody_out(), "nobody had one");
        impact.count(&desired(&[10]), &desired(&[]));
        assert!(impact.locks_everybody_out());
        impact.count(&desired(&[10]), &desired(&[10]));
        assert!(!impact.locks_everybody_out());
    }
}
