//! Everything known about a person that decides their roles.

use chrono::{DateTime, Utc};

use crate::{
    catalog::{Catalog, PlanSlug},
    ids::{GrantId, StripeSubscriptionId},
    standing::Standing,
};

/// A subscription with its standing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Stripe's id.
    pub subscription: StripeSubscriptionId,
    /// The plan it pays for; `None` when no plan sells its price.
    pub plan: Option<PlanSlug>,
    /// What it is worth.
    pub standing: Standing,
    /// It gave access at some time: only then can its end make an alumnus.
    pub had_access: bool,
}

/// A manual grant of a plan: a comp, free days, a lifetime membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Our id.
    pub id: GrantId,
    /// The plan given.
    pub plan: PlanSlug,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends; `None` for ever.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Whether it gives access at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now && self.ends_at.is_none_or(|end| now < end)
    }
}

/// The facts about one person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberFacts {
    /// Their subscriptions.
    pub holdings: Vec<Holding>,
    /// Their manual grants that were not taken back.
    pub grants: Vec<Grant>,
}

impl MemberFacts {
    /// The person summed up in one word; `None` for somebody who never held anything.
    pub fn standing(&self, now: DateTime<Utc>) -> Option<Standing> {
        let granted = self.grants.iter().map(|grant| {
            if grant.is_live(now) {
                Standing::Active
            } else if now < grant.starts_at {
                Standing::Pending
            } else {
                Standing::Ended
            }
        });
        Standing::best(
            self.holdings
                .iter()
                .map(|holding| holding.standing)
                .chain(granted),
        )
    }

    /// The next moment at which time alone changes something; `None` for never.
    pub fn next_change_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let graces = self
            .holdings
            .iter()
            .filter_map(|holding| holding.standing.grace_until());
        let grants = self
            .grants
            .iter()
            .flat_map(|grant| [Some(grant.starts_at), grant.ends_at])
            .flatten();
        graces.chain(grants).filter(|at| now < *at).min()
    }
}

/// Whether a holding opens its plan's rooms.
pub fn gives_access(holding: &Holding, catalog: &Catalog) -> bool {
    match holding.standing {
        Standing::Trial | Standing::Active | Standing::Grace { .. } => true,
        Standing::Paused => holding
            .plan
            .as_ref()
            .and_then(|slug| catalog.plans.get(slug))
            .is_some_and(|plan| plan.paused_keeps_access),
        Standing::Pending | Standing::Debtor | Standing::Ended => false,
    }
}
