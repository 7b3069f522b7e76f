//! The roles a person should have, with the reason for each, and the way there from what they have.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Catalog, EndPolicy, PlanSlug},
    ids::{GrantId, GuildId, RoleId, StripeCheckoutSessionId, StripeSubscriptionId},
    member::{Holding, HoldingId, MemberFacts, gives_access, lasts_until},
    standing::Standing,
};

/// Why a person should have a role. Shown to members and staff.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// A subscription that gives access.
    Subscription {
        /// Stripe's id.
        id: StripeSubscriptionId,
        /// The plan it pays for.
        plan: PlanSlug,
        /// Its standing, in words.
        detail: String,
    },
    /// A one-time purchase that gives access.
    Purchase {
        /// The Checkout Session that sold it.
        id: StripeCheckoutSessionId,
        /// The plan it pays for.
        plan: PlanSlug,
        /// Its standing, in words.
        detail: String,
    },
    /// A manual grant.
    Grant {
        /// Our id.
        id: GrantId,
        /// The plan given.
        plan: PlanSlug,
        /// Until when, in words.
        detail: String,
    },
    /// Money is owed.
    Debt {
        /// What for.
        id: HoldingId,
        /// The plan it pays for.
        plan: PlanSlug,
        /// What happens next, in words.
        detail: String,
    },
    /// A membership ended, and its plan keeps people as alumni.
    Alumni {
        /// What it was.
        id: HoldingId,
        /// The plan it paid for.
        plan: PlanSlug,
        /// In words.
        detail: String,
    },
    /// The owner's policy gives it for a standing.
    Policy {
        /// What has that standing.
        id: HoldingId,
        /// The plan it pays for.
        plan: PlanSlug,
        /// The standing, in words.
        detail: String,
    },
}

/// The desired roles of one person: server by server, role by role, with the reasons.
pub type DesiredRoles = BTreeMap<GuildId, BTreeMap<RoleId, BTreeSet<Reason>>>;

/// The roles that a person should have: the union of all that gives access, plus what the policy
/// gives besides, such as the Debtor role where money is owed and the alumni role where the last
/// access has ended.
///
/// Every trigger calls this one function; there is no grant path and no revoke path.
pub fn desired_roles(facts: &MemberFacts, catalog: &Catalog, now: DateTime<Utc>) -> DesiredRoles {
    let mut desired = DesiredRoles::new();
    for (plan, reason) in access(facts, catalog, now) {
        for role in catalog.plans.get(&plan).into_iter().flat_map(|plan| &plan.roles) {
            insert(&mut desired, role.guild, role.role, reason.clone());
        }
    }
    let open: BTreeSet<GuildId> = desired.keys().copied().collect();
    add_debts(&mut desired, facts, catalog);
    add_alumni(&mut desired, facts, catalog, &open);
    add_policy_roles(&mut desired, facts, catalog);
    desired
}

/// How somebody stands in a server with a plan whose owner chose that its end removes people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// Something that gave them access there has not ended. Once it has, they go.
    Ahead,
    /// Something else has not ended, such as a purchase on its way or a grant to come: they stay for now, but
    /// that alone is no access that could end.
    Waiting,
    /// All that they held there has ended, last of all this, and nothing gives them a role there.
    Here(HoldingId),
}

/// The servers that a person leaves when their membership ends, and how far that is; no others.
///
/// It says what holds now and not what to do about it: somebody who was removed and came back stands
/// [`Here`](Departure::Here) as well. Whoever acts on it does so once for each time that they were
/// [`Ahead`](Departure::Ahead) before.
pub fn departures(
    facts: &MemberFacts,
    catalog: &Catalog,
    desired: &DesiredRoles,
    now: DateTime<Utc>,
) -> BTreeMap<GuildId, Departure> {
    let plans = facts.holdings.iter().filter_map(|holding| holding.plan.as_ref());
    let removing: BTreeSet<GuildId> = plans
        .filter(|slug| ends_with(catalog, slug, EndPolicy::Kick))
        .flat_map(|slug| guilds_of(catalog, slug))
        .collect();
    let of_guild = |guild: GuildId| Some((guild, departure(facts, catalog, desired, guild, now)?));
    removing.into_iter().filter_map(of_guild).collect()
}

fn departure(
    facts: &MemberFacts,
    catalog: &Catalog,
    desired: &DesiredRoles,
    guild: GuildId,
    now: DateTime<Utc>,
) -> Option<Departure> {
    let is_here = |plan: &PlanSlug| guilds_of(catalog, plan).contains(&guild);
    let held = || {
        let of_plan = |holding: &&Holding| holding.plan.as_ref().is_some_and(is_here);
        facts.holdings.iter().filter(of_plan)
    };
    let open = || held().filter(|holding| holding.standing != Standing::Ended);
    let grants = || facts.grants.iter().filter(|grant| is_here(&grant.plan));
    if open().any(|holding| holding.had_access) || grants().any(|grant| grant.is_live(now)) {
        return Some(Departure::Ahead);
    }
    if open().next().is_some() || grants().any(|grant| now < grant.starts_at) {
        return Some(Departure::Waiting);
    }
    if desired.contains_key(&guild) {
        return None;
    }
    let removes = |holding: &&Holding| {
        let plan = holding.plan.as_ref();
        holding.had_access && plan.is_some_and(|plan| ends_with(catalog, plan, EndPolicy::Kick))
    };
    let last = held()
        .filter(removes)
        .max_by_key(|holding| (holding.since, &holding.id))?;
    Some(Departure::Here(last.id.clone()))
}

fn ends_with(catalog: &Catalog, plan: &PlanSlug, end: EndPolicy) -> bool {
    catalog.plans.get(plan).is_some_and(|plan| plan.end == end)
}

fn insert(desired: &mut DesiredRoles, guild: GuildId, role: RoleId, reason: Reason) {
    desired
        .entry(guild)
        .or_default()
        .entry(role)
        .or_default()
        .insert(reason);
}

/// The plans whose rooms are open to the person, and why.
fn access(
    facts: &MemberFacts,
    catalog: &Catalog,
    now: DateTime<Utc>,
) -> impl Iterator<Item = (PlanSlug, Reason)> {
    let holdings = facts
        .holdings
        .iter()
        .filter(move |holding| gives_access(holding, catalog, now));
    let bought = holdings.filter_map(move |holding| {
        let plan = holding.plan.clone()?;
        let detail = match (holding.standing, lasts_until(holding, catalog)) {
            (Standing::Grace { until }, _) => {
                format!("a payment failed; access stays until {}", date(until))
            }
            (other, Some(until)) => format!("{}; access lasts on until {}", other.name(), date(until)),
            (other, None) => other.name().to_owned(),
        };
        Some((plan.clone(), bought_reason(&holding.id, plan, detail)))
    });
    let granted = facts
        .grants
        .iter()
        .filter(move |grant| grant.is_live(now))
        .map(|grant| {
            let detail = grant
                .ends_at
                .map_or_else(|| "for ever".to_owned(), |end| format!("until {}", date(end)));
            (
                grant.plan.clone(),
                Reason::Grant {
                    id: grant.id,
                    plan: grant.plan.clone(),
                    detail,
                },
            )
        });
    bought.chain(granted)
}

fn bought_reason(id: &HoldingId, plan: PlanSlug, detail: String) -> Reason {
    match id.clone() {
        HoldingId::Subscription(id) => Reason::Subscription { id, plan, detail },
        HoldingId::Purchase(id) => Reason::Purchase { id, plan, detail },
    }
}

/// Adds the Debtor role in every server of a plan whose standing has it.
fn add_debts(desired: &mut DesiredRoles, facts: &MemberFacts, catalog: &Catalog) {
    for holding in &facts.holdings {
        let Some(plan) = &holding.plan else { continue };
        if !catalog.rule(Some(plan), holding.standing.kind()).debtor {
            continue;
        }
        let detail = match holding.standing {
            Standing::Grace { until } => format!("pay by {} to keep access", date(until)),
            Standing::Debtor => "the grace period is over; pay to get access back".to_owned(),
            other => other.name().to_owned(),
        };
        let reason = Reason::Debt {
            id: holding.id.clone(),
            plan: plan.clone(),
            detail,
        };
        for guild in guilds_of(catalog, plan) {
            if let Some(role) = catalog
                .guilds
                .get(&guild)
                .and_then(|settings| settings.debtor_role)
            {
                insert(desired, guild, role, reason.clone());
            }
        }
    }
}

/// Adds the alumni role in every server where a membership has ended and nothing else gives access.
fn add_alumni(desired: &mut DesiredRoles, facts: &MemberFacts, catalog: &Catalog, open: &BTreeSet<GuildId>) {
    for holding in facts.holdings.iter().filter(|holding| holding.had_access) {
        let Some(plan) = &holding.plan else { continue };
        if !catalog.rule(Some(plan), holding.standing.kind()).alumni {
            continue;
        }
        let reason = Reason::Alumni {
            id: holding.id.clone(),
            plan: plan.clone(),
            detail: format!("the membership is {}", holding.standing.name()),
        };
        for guild in guilds_of(catalog, plan).difference(open) {
            if let Some(role) = catalog
                .guilds
                .get(guild)
                .and_then(|settings| settings.alumni_role)
            {
                insert(desired, *guild, role, reason.clone());
            }
        }
    }
}

/// Adds the roles that the policy gives for a standing besides those of the plan.
fn add_policy_roles(desired: &mut DesiredRoles, facts: &MemberFacts, catalog: &Catalog) {
    for holding in &facts.holdings {
        let Some(plan) = &holding.plan else { continue };
        let kind = holding.standing.kind();
        for role in catalog.rule(Some(plan), kind).roles {
            let reason = Reason::Policy {
                id: holding.id.clone(),
                plan: plan.clone(),
                detail: kind.name().to_owned(),
            };
            insert(desired, role.guild, role.role, reason);
        }
    }
}

fn guilds_of(catalog: &Catalog, plan: &PlanSlug) -> BTreeSet<GuildId> {
    let roles = catalog.plans.get(plan).into_iter().flat_map(|plan| &plan.roles);
    roles.map(|role| role.guild).collect()
}

fn date(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// The role writes that lead from what a person has to what they should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Roles to give.
    pub add: BTreeSet<RoleId>,
    /// Roles to take.
    pub remove: BTreeSet<RoleId>,
}

impl Difference {
    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// What has to be written so that all of `wanted` and none of `unwanted` is left. A role named in
/// both is wanted: taking by mistake costs a person more than giving.
pub fn difference(
    current: &BTreeSet<RoleId>,
    wanted: &BTreeSet<RoleId>,
    unwanted: &BTreeSet<RoleId>,
) -> Difference {
    Difference {
        add: wanted.difference(current).copied().collect(),
        remove: unwanted
            .difference(wanted)
            .filter(|role| current.contains(role))
            .copied()
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        catalog::{GuildRole, GuildSettings, Plan, PlanKind},
        member::Grant,
        policy::{Policy, RuleChange},
        standing::StandingKind,
    };

    const GUILD: u64 = 1;
    const COUNCIL: u64 = 10;
    const DEBTOR: u64 = 20;
    const ALUMNI: u64 = 30;

    fn role(id: u64) -> RoleId {
        RoleId::new(id).unwrap()
    }

    fn guild() -> GuildId {
        GuildId::new(GUILD).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    /// `council` gives COUNCIL and makes alumni; `extra` gives role 11 besides.
    fn catalog() -> Catalog {
        let plan = |slug: &str, roles: &[u64], end| Plan {
            slug: slug.parse().unwrap(),
            name: slug.to_owned(),
            kind: PlanKind::Individual,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end,
            roles: roles
                .iter()
                .map(|id| GuildRole {
                    guild: guild(),
                    role: role(*id),
                })
                .collect(),
            archived: false,
        };
        let plans = [
            plan("council", &[COUNCIL], EndPolicy::Alumni),
            plan("extra", &[COUNCIL, 11], EndPolicy::Remove),
        ];
        let settings = GuildSettings {
            debtor_role: Some(role(DEBTOR)),
            alumni_role: Some(role(ALUMNI)),
            ..GuildSettings::default()
        };
        Catalog {
            version: 1,
            plans: plans.into_iter().map(|plan| (plan.slug.clone(), plan)).collect(),
            guilds: [(guild(), settings)].into(),
            policy: Policy::default(),
        }
    }

    fn holding(id: &str, plan: &str, standing: Standing) -> Holding {
        Holding {
            id: id.parse().unwrap(),
            plan: Some(plan.parse().unwrap()),
            standing,
            since: Some(at(0)),
            had_access: standing != Standing::Pending,
        }
    }

    fn roles(facts: &MemberFacts) -> Vec<u64> {
        roles_under(facts, &catalog(), at(0))
    }

    fn roles_under(facts: &MemberFacts, catalog: &Catalog, now: DateTime<Utc>) -> Vec<u64> {
        let desired = desired_roles(facts, catalog, now);
        desired
            .get(&guild())
            .into_iter()
            .flatten()
            .map(|(role, _)| role.get())
            .collect()
    }

    fn holdings(holdings: Vec<Holding>) -> MemberFacts {
        MemberFacts {
            holdings,
            grants: Vec::new(),
        }
    }

    #[test]
    fn each_standing_gives_its_roles() {
        let table: [(Standing, &[u64]); 7] = [
            (Standing::Pending, &[]),
            (Standing::Trial, &[COUNCIL]),
            (Standing::Active, &[COUNCIL]),
            (Standing::Grace { until: at(9) }, &[COUNCIL, DEBTOR]),
            (Standing::Debtor, &[DEBTOR]),
            (Standing::Paused, &[]),
            (Standing::Ended, &[ALUMNI]),
        ];
        for (standing, expected) in table {
            assert_eq!(
                roles(&holdings(vec![holding("sub_1", "council", standing)])),
                expected,
                "{standing}"
            );
        }
    }

    #[test]
    fn who_never_had_access_does_not_become_an_alumnus() {
        let mut never = holding("sub_1", "council", Standing::Ended);
        never.had_access = false;
        assert!(roles(&holdings(vec![never])).is_empty());
    }

    #[test]
    fn ending_one_subscription_takes_only_what_nothing_else_gives() {
        let ended = holding("sub_1", "extra", Standing::Ended);
        let live = holding("sub_2", "council", Standing::Active);
        assert_eq!(roles(&holdings(vec![ended, live])), [COUNCIL]);
    }

    #[test]
    fn a_purchase_gives_its_plan_beside_a_subscription_that_has_ended() {
        let ended = holding("sub_1", "extra", Standing::Ended);
        let bought = holding("cs_1", "council", Standing::Active);
        assert_eq!(roles(&holdings(vec![ended, bought])), [COUNCIL]);
    }

    #[test]
    fn the_owner_decides_what_a_standing_gives() {
        let mut catalog = catalog();
        let on_a_break = RuleChange {
            roles: Some(BTreeSet::from([GuildRole {
                guild: guild(),
                role: role(40),
            }])),
            ..RuleChange::default()
        };
        catalog.policy.standings.insert(StandingKind::Paused, on_a_break);
        let paused = holdings(vec![holding("sub_1", "council", Standing::Paused)]);
        assert_eq!(roles_under(&paused, &catalog, at(0)), [40]);
        assert!(
            catalog.mapped_roles(guild()).contains(&role(40)),
            "else it could never be taken away"
        );
    }

    #[test]
    fn access_lasts_on_for_as_long_as_the_owner_says_and_only_for_who_had_it() {
        let mut catalog = catalog();
        let three = RuleChange {
            delay_seconds: Some(3),
            ..RuleChange::default()
        };
        catalog.policy.standings.insert(StandingKind::Ended, three);
        let ended = holding("sub_1", "extra", Standing::Ended);
        let mut never = ended.clone();
        never.had_access = false;
        let facts = holdings(vec![ended]);
        assert_eq!(roles_under(&facts, &catalog, at(2)), [COUNCIL, 11]);
        assert_eq!(facts.next_change_at(&catalog, at(2)), Some(at(3)));
        assert!(roles_under(&facts, &catalog, at(3)).is_empty());
        assert!(roles_under(&holdings(vec![never]), &catalog, at(2)).is_empty());
    }

    /// `extra` removes people at its end.
    fn removing() -> Catalog {
        let mut catalog = catalog();
        let plan = catalog.plans.get_mut(&"extra".parse::<PlanSlug>().unwrap());
        plan.unwrap().end = EndPolicy::Kick;
        catalog
    }

    fn departure_under(facts: &MemberFacts, catalog: &Catalog) -> Option<Departure> {
        departures(facts, catalog, &desired_roles(facts, catalog, at(0)), at(0)).remove(&guild())
    }

    #[test]
    fn only_who_has_nothing_left_in_a_server_leaves_it_and_only_where_the_owner_chose_so() {
        let ended = holding("sub_1", "extra", Standing::Ended);
        let here = Some(Departure::Here("sub_1".parse().unwrap()));
        let beside = |more: Option<Holding>| {
            departure_under(
                &holdings([ended.clone()].into_iter().chain(more).collect()),
                &removing(),
            )
        };
        assert_eq!(beside(None), here);
        assert_eq!(
            departure_under(&holdings(vec![ended.clone()]), &catalog()),
            None,
            "the plan only takes its roles"
        );
        for stays in [
            Standing::Active,
            Standing::Grace { until: at(9) },
            Standing::Debtor,
            Standing::Paused,
        ] {
            let more = holding("sub_2", "council", stays);
            assert_eq!(beside(Some(more)), Some(Departure::Ahead), "{stays}");
        }
        let pending = holding("sub_2", "council", Standing::Pending);
        assert_eq!(
            beside(Some(pending)),
            Some(Departure::Waiting),
            "a purchase is on its way"
        );
        let alumnus = holding("sub_2", "council", Standing::Ended);
        assert_eq!(beside(Some(alumnus)), None, "they are an alumnus here");
        let elsewhere = holding("sub_2", "gone", Standing::Active);
        assert_eq!(beside(Some(elsewhere)), here, "that plan opens nothing here");
    }

    #[test]
    fn who_never_had_access_does_not_leave() {
        let mut never = holding("sub_1", "extra", Standing::Ended);
        never.had_access = false;
        assert_eq!(departure_under(&holdings(vec![never]), &removing()), None);
    }

    #[test]
    fn a_grant_that_is_not_over_keeps_somebody_and_one_that_is_does_not() {
        let stay = |starts_at, ends_at| {
            let mut facts = holdings(vec![holding("sub_1", "extra", Standing::Ended)]);
            facts.grants.push(Grant {
                id: GrantId::from_uuid(uuid::Uuid::nil()),
                plan: "council".parse().unwrap(),
                starts_at,
                ends_at,
            });
            departure_under(&facts, &removing())
        };
        assert_eq!(stay(at(-5), None), Some(Departure::Ahead));
        assert_eq!(stay(at(5), None), Some(Departure::Waiting));
        assert!(matches!(stay(at(-5), Some(at(-1))), Some(Departure::Here(_))));
    }

    #[test]
    fn a_grant_gives_its_plan_until_it_ends() {
        let grant = Grant {
            id: GrantId::from_uuid(uuid::Uuid::nil()),
            plan: "extra".parse().unwrap(),
            starts_at: at(-5),
            ends_at: Some(at(5)),
        };
        let facts = MemberFacts {
            holdings: Vec::new(),
            grants: vec![grant],
        };
        assert_eq!(roles(&facts), [COUNCIL, 11]);
        assert!(desired_roles(&facts, &catalog(), at(5)).is_empty());
        assert_eq!(facts.next_change_at(&catalog(), at(0)), Some(at(5)));
    }

    #[test]
    fn a_role_named_both_ways_is_kept() {
        let both = BTreeSet::from([role(1)]);
        assert_eq!(difference(&both, &both, &both), Difference::default());
    }

    fn any_roles() -> impl Strategy<Value = BTreeSet<RoleId>> {
        prop::collection::btree_set((1_u64..12).prop_map(role), 0..8)
    }

    fn any_facts() -> impl Strategy<Value = MemberFacts> {
        let standings = prop::sample::select(vec![
            Standing::Pending,
            Standing::Trial,
            Standing::Active,
            Standing::Grace { until: at(50) },
            Standing::Debtor,
            Standing::Paused,
            Standing::Ended,
        ]);
        let plans = prop::sample::select(vec!["council", "extra", "gone"]);
        prop::collection::vec((standings, plans), 0..5).prop_map(|list| {
            let numbered = list.into_iter().enumerate();
            holdings(
                numbered
                    .map(|(i, (standing, plan))| holding(&format!("sub_{i}"), plan, standing))
                    .collect(),
            )
        })
    }

    proptest! {
        #[test]
        fn applying_the_difference_leaves_all_that_is_wanted_and_nothing_unwanted(
            current in any_roles(), wanted in any_roles(), unwanted in any_roles(),
        ) {
            let step = difference(&current, &wanted, &unwanted);
            let after: BTreeSet<_> = current.difference(&step.remove).chain(&step.add).copied().collect();
            prop_assert!(wanted.is_subset(&after));
            prop_assert!(after.is_disjoint(&unwanted.difference(&wanted).copied().collect()));
            prop_assert!(difference(&after, &wanted, &unwanted).is_empty());
            let untouched: BTreeSet<_> = current.difference(&unwanted).copied().collect();
            prop_assert!(untouched.is_subset(&after), "a role that is not ours was taken");
        }

        #[test]
        fn the_order_of_facts_does_not_matter(facts in any_facts()) {
            let mut turned = facts.clone();
            turned.holdings.reverse();
            prop_assert_eq!(desired_roles(&facts, &catalog(), at(0)), desired_roles(&turned, &catalog(), at(0)));
        }

        #[test]
        fn nobody_leaves_a_server_in_which_anything_gives_access_or_has_not_ended(facts in any_facts()) {
            let catalog = removing();
            if let Some(Departure::Here(last)) = departure_under(&facts, &catalog) {
                prop_assert!(!desired_roles(&facts, &catalog, at(0)).contains_key(&guild()));
                for holding in &facts.holdings {
                    prop_assert!(!gives_access(holding, &catalog, at(0)) || holding.plan.as_ref().unwrap().as_str() == "gone");
                }
                let held = facts.holdings.iter().find(|holding| holding.id == last).unwrap();
                prop_assert!(held.standing == Standing::Ended && held.plan.as_ref().unwrap().as_str() == "extra");
            }
            let mut turned = facts.clone();
            turned.holdings.reverse();
            prop_assert_eq!(departure_under(&facts, &catalog), departure_under(&turned, &catalog));
        }

        #[test]
        fn nobody_gets_a_room_without_a_standing_that_gives_access(facts in any_facts()) {
            let desired = desired_roles(&facts, &catalog(), at(0));
            let given = desired.get(&guild()).is_some_and(|roles| roles.contains_key(&role(COUNCIL)));
            let open = facts.holdings.iter().any(|holding| {
                gives_access(holding, &catalog(), at(0)) && holding.plan.as_ref().is_some_and(|plan| plan.as_str() != "gone")
            });
            prop_assert_eq!(given, open);
        }

        #[test]
        fn every_desired_role_is_mapped_and_has_a_reason(facts in any_facts()) {
            for (guild, roles) in desired_roles(&facts, &catalog(), at(0)) {
                for (role, reasons) in roles {
                    prop_assert!(catalog().mapped_roles(guild).contains(&role));
                    prop_assert!(!reasons.is_empty());
                }
            }
        }
    }
}
