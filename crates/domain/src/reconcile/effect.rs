//! What a change of facts does to one person, by the functions that decide their roles.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Catalog, GuildRole},
    member::{MemberFacts, gives_access},
    roles::{DesiredRoles, desired_roles},
};

/// What happens to one person.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Effect {
    /// The roles that they would get.
    pub gains: BTreeSet<GuildRole>,
    /// The roles that they would lose.
    pub losses: BTreeSet<GuildRole>,
    /// Whether a room would be closed to them: a role that access to a plan gives would go.
    pub removes_access: bool,
}

/// What becomes of somebody whose facts change from `before` to `after`.
pub fn effect(before: &MemberFacts, after: &MemberFacts, catalog: &Catalog, now: DateTime<Utc>) -> Effect {
    let had = flat(&desired_roles(before, catalog, now));
    let has = flat(&desired_roles(after, catalog, now));
    let open = access_roles(after, catalog, now);
    Effect {
        gains: has.difference(&had).copied().collect(),
        losses: had.difference(&has).copied().collect(),
        removes_access: access_roles(before, catalog, now)
            .iter()
            .any(|role| !open.contains(role)),
    }
}

/// The roles that are open to a person by access to a plan: neither Debtor nor Alumni nor what a policy adds.
pub fn access_roles(facts: &MemberFacts, catalog: &Catalog, now: DateTime<Utc>) -> BTreeSet<GuildRole> {
    let bought = facts
        .holdings
        .iter()
        .filter(|holding| gives_access(holding, catalog, now))
        .filter_map(|holding| holding.plan.as_ref());
    let granted = facts
        .grants
        .iter()
        .filter(|grant| grant.is_live(now))
        .map(|grant| &grant.plan);
    bought
        .chain(granted)
        .filter_map(|plan| catalog.plans.get(plan))
        .flat_map(|plan| plan.roles.iter().copied())
        .collect()
}

fn flat(desired: &DesiredRoles) -> BTreeSet<GuildRole> {
    desired
        .iter()
        .flat_map(|(guild, roles)| {
            roles.keys().map(|role| GuildRole {
                guild: *guild,
                role: *role,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        catalog::{EndPolicy, GuildSettings, Plan, PlanKind},
        ids::{GuildId, RoleId},
        member::{Holding, HoldingId},
        standing::Standing,
    };

    fn role(id: u64) -> GuildRole {
        GuildRole {
            guild: GuildId::new(1).unwrap(),
            role: RoleId::new(id).unwrap(),
        }
    }

    fn plan(slug: &str, roles: &[u64]) -> Plan {
        Plan {
            slug: slug.parse().unwrap(),
            name: slug.to_owned(),
            kind: PlanKind::Individual,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end: EndPolicy::Remove,
            roles: roles.iter().map(|id| role(*id)).collect(),
            archived: false,
        }
    }

    fn catalog() -> Catalog {
        let plans = [plan("council", &[10]), plan("patron", &[10, 20])];
        let settings = GuildSettings {
            debtor_role: RoleId::new(99),
            ..GuildSettings::default()
        };
        Catalog {
            plans: plans.map(|plan| (plan.slug.clone(), plan)).into(),
            guilds: BTreeMap::from([(GuildId::new(1).unwrap(), settings)]),
            ..Catalog::default()
        }
    }

    fn holds(plans: &[(&str, Standing)]) -> MemberFacts {
        let holdings = plans
            .iter()
            .enumerate()
            .map(|(number, (plan, standing))| Holding {
                id: HoldingId::Subscription(format!("sub_{number}").parse().unwrap()),
                plan: Some(plan.parse().unwrap()),
                standing: *standing,
                since: None,
                had_access: true,
            });
        MemberFacts {
            holdings: holdings.collect(),
            grants: Vec::new(),
        }
    }

    fn of(before: &[(&str, Standing)], after: &[(&str, Standing)]) -> Effect {
        let now = DateTime::UNIX_EPOCH;
        effect(&holds(before), &holds(after), &catalog(), now)
    }

    const GRACE: Standing = Standing::Grace {
        until: DateTime::<Utc>::MAX_UTC,
    };

    #[test]
    fn an_end_closes_a_room_unless_something_else_keeps_it_open() {
        let (active, ended) = (Standing::Active, Standing::Ended);
        let ends = of(&[("council", active)], &[("council", ended)]);
        assert_eq!(
            (ends.removes_access, ends.losses),
            (true, BTreeSet::from([role(10)]))
        );
        let kept = of(
            &[("council", active), ("patron", active)],
            &[("council", ended), ("patron", active)],
        );
        assert_eq!(kept, Effect::default());
        let down = of(&[("patron", active)], &[("council", active)]);
        assert_eq!(
            (down.removes_access, down.losses),
            (true, BTreeSet::from([role(20)]))
        );
    }

    #[test]
    fn a_debt_that_is_paid_takes_a_role_and_closes_no_room() {
        let paid = of(&[("council", GRACE)], &[("council", Standing::Active)]);
        assert_eq!(
            (paid.removes_access, paid.losses),
            (false, BTreeSet::from([role(99)]))
        );
        let owed = of(&[("council", Standing::Active)], &[("council", GRACE)]);
        assert_eq!(
            (owed.removes_access, owed.gains),
            (false, BTreeSet::from([role(99)]))
        );
        let over = of(&[("council", GRACE)], &[("council", Standing::Debtor)]);
        assert!(over.removes_access);
    }
}
