//! What each standing means, as data that the owner changes: the plan's roles in or out, special roles,
//! more roles, a message, and for how long access lasts on.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Catalog, GuildRole, PlanSlug},
    reversal::ReversalPolicy,
    standing::StandingKind,
};

/// The longest that access may last on after a standing began, in seconds: a year.
const LONGEST_DELAY_SECONDS: u32 = 366 * 86_400;

/// What one standing gives and does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four switches that the owner sets, each by itself"
)]
pub struct Rule {
    /// The roles of the plan.
    pub access: bool,
    /// The Debtor role of each of the plan's servers.
    pub debtor: bool,
    /// The alumni role of each of the plan's servers, for who had access and has none left there.
    pub alumni: bool,
    /// Roles besides.
    pub roles: BTreeSet<GuildRole>,
    /// Whether the person is written to about it.
    pub message: bool,
    /// Access that was there before lasts on for so long after the standing began.
    pub delay: TimeDelta,
}

impl Rule {
    /// What a standing means unless somebody decides otherwise.
    pub fn builtin(kind: StandingKind) -> Self {
        let (access, debtor, message) = match kind {
            StandingKind::Pending | StandingKind::Paused | StandingKind::Ended => (false, false, false),
            StandingKind::Trial | StandingKind::Active => (true, false, true),
            StandingKind::Grace => (true, true, true),
            StandingKind::Debtor => (false, true, true),
        };
        Self {
            access,
            debtor,
            message,
            ..Self::default()
        }
    }

    fn change(&mut self, change: &RuleChange) {
        self.access = change.access.unwrap_or(self.access);
        self.debtor = change.debtor.unwrap_or(self.debtor);
        self.alumni = change.alumni.unwrap_or(self.alumni);
        self.message = change.message.unwrap_or(self.message);
        if let Some(roles) = &change.roles {
            self.roles.clone_from(roles);
        }
        if let Some(seconds) = change.delay_seconds {
            self.delay = TimeDelta::seconds(i64::from(seconds));
        }
    }
}

/// What a policy says otherwise about one standing; what it leaves out stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleChange {
    /// See [`Rule::access`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<bool>,
    /// See [`Rule::debtor`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debtor: Option<bool>,
    /// See [`Rule::alumni`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alumni: Option<bool>,
    /// See [`Rule::roles`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<BTreeSet<GuildRole>>,
    /// See [`Rule::message`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<bool>,
    /// See [`Rule::delay`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_seconds: Option<u32>,
}

type Changes = BTreeMap<StandingKind, RuleChange>;

/// The owner's policy: what differs from the built-in rules, for all plans and for single ones.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// For every plan.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub standings: Changes,
    /// For single plans, over what is said for all of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<PlanSlug, Changes>,
    /// What refunds, disputes and warnings of fraud do.
    pub reversals: ReversalPolicy,
}

impl Policy {
    /// The rule for a standing of a plan, over what the plan itself says (`from_plan`).
    pub fn rule(&self, plan: Option<&PlanSlug>, kind: StandingKind, from_plan: &RuleChange) -> Rule {
        let mut rule = Rule::builtin(kind);
        let of_plan = plan.and_then(|slug| self.plans.get(slug));
        let changes = [
            self.standings.get(&kind),
            Some(from_plan),
            of_plan.and_then(|changes| changes.get(&kind)),
        ];
        for change in changes.into_iter().flatten() {
            rule.change(change);
        }
        rule
    }

    /// Every role that the policy names.
    pub fn roles(&self) -> impl Iterator<Item = GuildRole> {
        let changes = self
            .standings
            .values()
            .chain(self.plans.values().flat_map(BTreeMap::values));
        changes
            .filter_map(|change| change.roles.as_ref())
            .flatten()
            .copied()
    }

    /// The plans that it speaks of and that are none of `catalog`, in words.
    pub fn unknown_plans(&self, catalog: &Catalog) -> Vec<String> {
        let unknown = self.plans.keys().filter(|slug| !catalog.plans.contains_key(slug));
        unknown
            .map(|slug| format!("plan {slug}: there is no such plan; mend its name, or remove it"))
            .collect()
    }

    /// What makes no sense in it, in words that say where; empty for a good policy.
    pub fn faults(&self) -> Vec<String> {
        let for_all = self
            .standings
            .iter()
            .map(|(kind, change)| (String::new(), *kind, change));
        let for_plans = self.plans.iter().flat_map(|(slug, changes)| {
            let place = format!("plan {slug}: ");
            changes
                .iter()
                .map(move |(kind, change)| (place.clone(), *kind, change))
        });
        for_all
            .chain(for_plans)
            .flat_map(|(place, kind, change)| {
                rule_faults(kind, change).map(move |fault| format!("{place}{}: {fault}", kind.name()))
            })
            .collect()
    }
}

fn rule_faults(kind: StandingKind, change: &RuleChange) -> impl Iterator<Item = String> {
    let free = kind == StandingKind::Pending
        && (change.access == Some(true) || change.roles.as_ref().is_some_and(|roles| !roles.is_empty()));
    let unpaid =
        free.then(|| "nobody has paid yet, so it cannot give roles; remove access and roles".to_owned());
    let locked = (kind == StandingKind::Active && change.access == Some(false))
        .then(|| "who has paid must have access; remove access = false".to_owned());
    let delay = change.delay_seconds.unwrap_or_default();
    let long = (delay > LONGEST_DELAY_SECONDS)
        .then(|| format!("a delay of {delay} s is over a year ({LONGEST_DELAY_SECONDS} s); shorten it"));
    let useless = (delay > 0
        && matches!(
            kind,
            StandingKind::Pending | StandingKind::Trial | StandingKind::Active
        ))
    .then(|| "a delay keeps access after it would end, and here it does not end; remove it".to_owned());
    [unpaid, locked, long, useless].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GuildId, RoleId};

    fn slug(text: &str) -> PlanSlug {
        text.parse().unwrap()
    }

    fn role(id: u64) -> GuildRole {
        GuildRole {
            guild: GuildId::new(1).unwrap(),
            role: RoleId::new(id).unwrap(),
        }
    }

    fn change(access: bool) -> RuleChange {
        RuleChange {
            access: Some(access),
            ..RuleChange::default()
        }
    }

    #[test]
    fn what_is_said_for_one_plan_wins_over_the_plan_itself_and_over_what_is_said_for_all() {
        let mut policy = Policy::default();
        let rule = |policy: &Policy, from_plan: &RuleChange| {
            policy
                .rule(Some(&slug("council")), StandingKind::Paused, from_plan)
                .access
        };
        assert!(!rule(&policy, &RuleChange::default()), "built in");
        policy.standings.insert(StandingKind::Paused, change(true));
        assert!(rule(&policy, &RuleChange::default()), "for all plans");
        assert!(!rule(&policy, &change(false)), "the plan says otherwise");
        let of_plan = BTreeMap::from([(StandingKind::Paused, change(true))]);
        policy.plans.insert(slug("council"), of_plan);
        assert!(rule(&policy, &change(false)), "the policy says so for this plan");
        assert!(
            !policy
                .rule(Some(&slug("other")), StandingKind::Paused, &change(false))
                .access
        );
    }

    #[test]
    fn what_is_left_out_stays_as_it_is() {
        let mut policy = Policy::default();
        let only_roles = RuleChange {
            roles: Some(BTreeSet::from([role(9)])),
            ..RuleChange::default()
        };
        policy.standings.insert(StandingKind::Grace, only_roles);
        let rule = policy.rule(None, StandingKind::Grace, &RuleChange::default());
        let expected = Rule {
            roles: BTreeSet::from([role(9)]),
            ..Rule::builtin(StandingKind::Grace)
        };
        assert_eq!(rule, expected);
        assert_eq!(policy.roles().collect::<Vec<_>>(), [role(9)]);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_its_place() {
        let mut policy = Policy::default();
        assert!(policy.faults().is_empty());
        policy.standings.insert(StandingKind::Pending, change(true));
        let long = RuleChange {
            delay_seconds: Some(u32::MAX),
            ..RuleChange::default()
        };
        policy
            .plans
            .insert(slug("council"), BTreeMap::from([(StandingKind::Ended, long)]));
        let faults = policy.faults();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("pending: nobody has paid"), "{faults:?}");
        assert!(
            faults[1].starts_with("plan council: ended: a delay of"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_plan_that_does_not_exist_is_named() {
        let mut policy = Policy::default();
        policy.plans.insert(
            slug("counsel"),
            BTreeMap::from([(StandingKind::Ended, change(false))]),
        );
        let unknown = policy.unknown_plans(&Catalog::default());
        assert_eq!(unknown.len(), 1);
        assert!(
            unknown[0].starts_with("plan counsel: there is no such plan"),
            "{unknown:?}"
        );
    }

    #[test]
    fn a_policy_is_read_as_it_is_written_and_a_misspelt_key_is_refused() {
        let mut policy = Policy::default();
        policy.standings.insert(StandingKind::Ended, change(true));
        let text = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
        for wrong in [r#"{"standing":{}}"#, r#"{"standings":{"ended":{"acces":true}}}"#] {
            assert!(serde_json::from_str::<Policy>(wrong).is_err(), "{wrong}");
        }
    }
}
