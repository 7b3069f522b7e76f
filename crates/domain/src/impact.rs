//! What a change of plans or policy would do to people, counted before it is made.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    catalog::{Catalog, GuildRole},
    ids::GuildId,
    member::MemberFacts,
    roles::{Departure, Reason, departures, desired_roles},
};

/// What one person has under a catalog, as far as an impact is counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outlook {
    roles: BTreeSet<GuildRole>,
    /// Some role is there for what they pay for or were given, and not for a debt or for old times' sake.
    has_access: bool,
    /// Servers that they leave when what they hold there ends.
    ahead: BTreeSet<GuildId>,
    /// Servers in which all has ended that they are removed for.
    gone: BTreeSet<GuildId>,
}

impl Outlook {
    /// What the facts come to at `now`, by the one function that decides roles.
    pub fn of(facts: &MemberFacts, catalog: &Catalog, now: DateTime<Utc>) -> Self {
        let desired = desired_roles(facts, catalog, now);
        let mut outlook = Self::default();
        for (guild, departure) in departures(facts, catalog, &desired, now) {
            match departure {
                Departure::Ahead => outlook.ahead.insert(guild),
                Departure::Here(_) => outlook.gone.insert(guild),
                Departure::Waiting => false,
            };
        }
        for (guild, roles) in desired {
            for (role, reasons) in roles {
                outlook.has_access |= reasons.iter().any(gives_access);
                outlook.roles.insert(GuildRole { guild, role });
            }
        }
        outlook
    }
}

const fn gives_access(reason: &Reason) -> bool {
    match reason {
        Reason::Subscription { .. }
        | Reason::Purchase { .. }
        | Reason::Grant { .. }
        | Reason::Policy { .. } => true,
        Reason::Debt { .. } | Reason::Alumni { .. } => false,
    }
}

/// How many people a change moves, and which roles they would lose or gain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Impact {
    /// People looked at.
    pub members: u64,
    /// Those whose roles would change.
    pub changed: u64,
    /// Those who have access now, by what they pay for or were given.
    pub with_access_before: u64,
    /// Those who would have it after.
    pub with_access_after: u64,
    /// Those who would be removed from a server by the change itself.
    pub removed: u64,
    /// Those who would be removed from a server once what they hold there ends, and would not be now.
    pub removed_at_end: u64,
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
    pub fn count(&mut self, before: &Outlook, after: &Outlook) {
        self.members += 1;
        self.with_access_before += u64::from(before.has_access);
        self.with_access_after += u64::from(after.has_access);
        self.changed += u64::from(before.roles != after.roles);
        // Who was not to be removed before is not removed for what ended before.
        self.removed += u64::from(before.ahead.intersection(&after.gone).next().is_some());
        self.removed_at_end += u64::from(!after.ahead.is_subset(&before.ahead));
        for role in before.roles.difference(&after.roles) {
            self.by_role.entry(*role).or_default().0 += 1;
        }
        for role in after.roles.difference(&before.roles) {
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

    /// Whether nobody would keep access though somebody has it: then the change is a mistake.
    pub const fn locks_everybody_out(&self) -> bool {
        self.with_access_before > 0 && self.with_access_after == 0
    }

    /// `37 of 400 members change: 31 lose Council, 6 gain Debtor`, with the names that `name` gives.
    pub fn in_words(&self, name: impl Fn(GuildRole) -> String) -> String {
        let losses = self.roles.iter().filter(|role| role.lose > 0);
        let losses = losses.map(|role| {
            let lose = verb(role.lose, "lose", "loses");
            format!("{} {lose} {}", role.lose, name(role.role))
        });
        let gains = self.roles.iter().filter(|role| role.gain > 0);
        let gains = gains.map(|role| {
            let gain = verb(role.gain, "gain", "gains");
            format!("{} {gain} {}", role.gain, name(role.role))
        });
        let parts: Vec<String> = losses.chain(gains).collect();
        let roles = if parts.is_empty() {
            format!("nobody's roles change ({} looked at)", self.members)
        } else {
            let members = verb(self.members, "members", "member");
            let change = verb(self.changed, "change", "changes");
            format!(
                "{} of {} {members} {change}: {}",
                self.changed,
                self.members,
                parts.join(", ")
            )
        };
        let removals = [
            (self.removed, "now"),
            (self.removed_at_end, "once their membership ends"),
        ];
        let removals = removals.into_iter().filter(|(count, _)| *count > 0);
        let removals: Vec<String> = removals
            .map(|(count, when)| {
                let are = verb(count, "are", "is");
                format!("; {count} {are} removed from a server {when}")
            })
            .collect();
        roles + &removals.concat()
    }
}

/// One does, several do.
const fn verb(count: u64, several: &'static str, one: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{
        catalog::{EndPolicy, GuildSettings, Plan, PlanKind},
        ids::RoleId,
        member::{Holding, HoldingId},
        policy::RuleChange,
        standing::{Standing, StandingKind},
    };

    const COUNCIL: u64 = 10;
    const DEBTOR: u64 = 20;

    fn role(id: u64) -> GuildRole {
        GuildRole {
            guild: GuildId::new(1).unwrap(),
            role: RoleId::new(id).unwrap(),
        }
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn catalog(end: EndPolicy) -> Catalog {
        let plan = Plan {
            slug: "council".parse().unwrap(),
            name: "Council".to_owned(),
            kind: PlanKind::Individual,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end,
            roles: BTreeSet::from([role(COUNCIL)]),
            archived: false,
        };
        let settings = GuildSettings {
            debtor_role: Some(role(DEBTOR).role),
            ..GuildSettings::default()
        };
        Catalog {
            plans: [(plan.slug.clone(), plan)].into(),
            guilds: [(role(1).guild, settings)].into(),
            ..Catalog::default()
        }
    }

    /// In grace there is no access any more.
    fn strict() -> Catalog {
        let change = RuleChange {
            access: Some(false),
            ..RuleChange::default()
        };
        let mut catalog = catalog(EndPolicy::Remove);
        catalog.policy.standings.insert(StandingKind::Grace, change);
        catalog
    }

    fn holder(standing: Standing) -> MemberFacts {
        MemberFacts {
            holdings: vec![Holding {
                id: HoldingId::Subscription("sub_1".parse().unwrap()),
                plan: Some("council".parse().unwrap()),
                standing,
                since: Some(now()),
                had_access: true,
            }],
            grants: Vec::new(),
        }
    }

    fn in_grace() -> MemberFacts {
        holder(Standing::Grace {
            until: now() + TimeDelta::days(1),
        })
    }

    fn impact(people: &[MemberFacts], before: &Catalog, after: &Catalog) -> Impact {
        let mut impact = Impact::default();
        for facts in people {
            let outlook = |catalog| Outlook::of(facts, catalog, now());
            impact.count(&outlook(before), &outlook(after));
        }
        impact.finish()
    }

    #[test]
    fn losses_and_gains_are_counted_by_role_and_told_with_names() {
        let people = [
            in_grace(),
            in_grace(),
            holder(Standing::Active),
            MemberFacts::default(),
        ];
        let mut after = strict();
        after.guilds.clear();
        let moved = RuleChange {
            roles: Some(BTreeSet::from([role(30)])),
            ..RuleChange::default()
        };
        after.policy.standings.insert(StandingKind::Active, moved);
        let impact = impact(&people, &catalog(EndPolicy::Remove), &after);
        assert_eq!((impact.members, impact.changed), (4, 3));
        assert_eq!((impact.with_access_before, impact.with_access_after), (3, 1));
        let expected = [(COUNCIL, 2, 0), (DEBTOR, 2, 0), (30, 0, 1)].map(|(id, lose, gain)| RoleImpact {
            role: role(id),
            lose,
            gain,
        });
        assert_eq!(impact.roles, expected);
        assert_eq!(
            impact.in_words(|role| format!("role {}", role.role)),
            "3 of 4 members change: 2 lose role 10, 2 lose role 20, 1 gains role 30"
        );
        assert!(!impact.locks_everybody_out());
    }

    #[test]
    fn a_change_that_moves_nobody_says_so() {
        let same = catalog(EndPolicy::Remove);
        let impact = impact(&[in_grace()], &same, &same);
        assert_eq!(
            impact.in_words(|_| String::new()),
            "nobody's roles change (1 looked at)"
        );
        assert!(!impact.locks_everybody_out());
    }

    #[test]
    fn a_change_that_leaves_nobody_access_locks_everybody_out_though_they_keep_the_debtor_role() {
        let before = catalog(EndPolicy::Remove);
        let all = impact(&[in_grace(), in_grace()], &before, &strict());
        assert!(all.locks_everybody_out(), "{all:?}");
        let some = impact(&[in_grace(), holder(Standing::Active)], &before, &strict());
        assert!(!some.locks_everybody_out(), "{some:?}");
    }

    #[test]
    fn who_only_owes_has_no_access_to_lose() {
        let mut after = catalog(EndPolicy::Remove);
        after.guilds.clear();
        let impact = impact(&[holder(Standing::Debtor)], &catalog(EndPolicy::Remove), &after);
        assert_eq!((impact.changed, impact.with_access_before), (1, 0));
        assert!(!impact.locks_everybody_out());
    }

    #[test]
    fn who_will_be_removed_from_a_server_at_the_end_is_counted_and_who_left_long_ago_is_not() {
        let people = [
            holder(Standing::Active),
            holder(Standing::Ended),
            MemberFacts::default(),
        ];
        let (before, after) = (catalog(EndPolicy::Remove), catalog(EndPolicy::Kick));
        let counted = impact(&people, &before, &after);
        assert_eq!(
            (counted.changed, counted.removed, counted.removed_at_end),
            (0, 0, 1)
        );
        let text = counted.in_words(|_| String::new());
        assert!(
            text.ends_with("; 1 is removed from a server once their membership ends"),
            "{text}"
        );
        assert_eq!(
            impact(&people, &after, &after).removed_at_end,
            0,
            "they know already"
        );
    }
}
