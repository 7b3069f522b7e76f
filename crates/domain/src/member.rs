//! Everything known about a person that decides their roles.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    catalog::{Catalog, PlanSlug},
    ids::{GrantId, InvalidId, StripeCheckoutSessionId, StripeSubscriptionId},
    standing::Standing,
};

/// What somebody bought.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldingId {
    /// A subscription.
    Subscription(StripeSubscriptionId),
    /// A one-time purchase, by the Checkout Session that sold it.
    Purchase(StripeCheckoutSessionId),
}

impl HoldingId {
    /// The id as Stripe writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subscription(id) => id.as_str(),
            Self::Purchase(id) => id.as_str(),
        }
    }
}

impl fmt::Display for HoldingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for HoldingId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.starts_with("cs_") {
            text.parse().map(Self::Purchase)
        } else {
            text.parse().map(Self::Subscription)
        }
    }
}

impl Serialize for HoldingId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HoldingId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What somebody bought, with what it is worth. A subscription to several plans is several holdings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// What was bought.
    pub id: HoldingId,
    /// The plan it pays for; `None` when no plan sells its price.
    pub plan: Option<PlanSlug>,
    /// What it is worth.
    pub standing: Standing,
    /// Since when, where that is known.
    pub since: Option<DateTime<Utc>>,
    /// It gave access at some time: only then can its end make an alumnus, or access last on.
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
    /// What they bought.
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
    pub fn next_change_at(&self, catalog: &Catalog, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let of_holdings = self
            .holdings
            .iter()
            .flat_map(|holding| [holding.standing.grace_until(), lasts_until(holding, catalog)]);
        let of_grants = self
            .grants
            .iter()
            .flat_map(|grant| [Some(grant.starts_at), grant.ends_at]);
        of_holdings
            .chain(of_grants)
            .flatten()
            .filter(|at| now < *at)
            .min()
    }
}

/// Whether a holding opens its plan's rooms.
pub fn gives_access(holding: &Holding, catalog: &Catalog, now: DateTime<Utc>) -> bool {
    let rule = catalog.rule(holding.plan.as_ref(), holding.standing.kind());
    rule.access || lasts_until(holding, catalog).is_some_and(|until| now < until)
}

/// Until when access lasts on though the standing gives none; `None` if it does not.
pub fn lasts_until(holding: &Holding, catalog: &Catalog) -> Option<DateTime<Utc>> {
    let rule = catalog.rule(holding.plan.as_ref(), holding.standing.kind());
    if rule.access || !holding.had_access || rule.delay.is_zero() {
        return None;
    }
    holding.since?.checked_add_signed(rule.delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holding_is_read_as_it_is_written() {
        for text in ["sub_1", "cs_test_1"] {
            let id: HoldingId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<HoldingId>(&json).unwrap(), id);
        }
        assert!("in_1".parse::<HoldingId>().is_err());
    }
}
