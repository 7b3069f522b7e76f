//! What the community sells and where: plans, the roles they give, and each server's special roles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    ids::{ChannelId, GuildId, InvalidSlug, RoleId, StripePriceId},
    policy::{Policy, Rule, RuleChange},
    standing::StandingKind,
};

/// A plan's stable key, such as `council`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PlanSlug(String);

impl PlanSlug {
    /// The slug as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlanSlug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Self, InvalidSlug> {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let starts_well = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if starts_well && text.len() <= 64 && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSlug(text.to_owned()))
        }
    }
}

impl<'de> Deserialize<'de> for PlanSlug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// Who buys a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// One person for themselves.
    Individual,
    /// A company, for its seats.
    Company,
}

impl PlanKind {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Individual => "individual",
            Self::Company => "company",
        }
    }
}

/// What happens to a person in a server when their last access there ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndPolicy {
    /// The roles go.
    Remove,
    /// The roles go and the server's alumni role comes.
    Alumni,
    /// The roles go, and the person is removed from the server.
    Kick,
}

impl EndPolicy {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Alumni => "alumni",
            Self::Kick => "kick",
        }
    }
}

/// A role in a server: what a plan gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GuildRole {
    /// The server.
    pub guild: GuildId,
    /// The role.
    pub role: RoleId,
}

/// Something that the community sells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Its stable key.
    pub slug: PlanSlug,
    /// Its name on pages.
    pub name: String,
    /// Who buys it.
    pub kind: PlanKind,
    /// The Stripe prices that sell it by subscription.
    pub prices: BTreeSet<StripePriceId>,
    /// How long access lasts after a failed payment; `None` takes the installation's default.
    pub grace: Option<TimeDelta>,
    /// Whether a voluntary pause keeps access.
    pub paused_keeps_access: bool,
    /// Days of trial that Checkout offers; zero for none.
    pub trial_days: u32,
    /// What happens when the last access ends.
    pub end: EndPolicy,
    /// The roles that it gives.
    pub roles: BTreeSet<GuildRole>,
    /// No longer sold. People who hold it keep it.
    pub archived: bool,
}

impl Plan {
    /// What the plan itself says otherwise than the built-in rules.
    fn change(&self, kind: StandingKind) -> RuleChange {
        RuleChange {
            access: (kind == StandingKind::Paused && self.paused_keeps_access).then_some(true),
            alumni: (kind == StandingKind::Ended && self.end == EndPolicy::Alumni).then_some(true),
            ..RuleChange::default()
        }
    }
}

/// A Discord server's special roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuildSettings {
    /// Given while a payment is failing.
    pub debtor_role: Option<RoleId>,
    /// Given after an introduction.
    pub introduced_role: Option<RoleId>,
    /// Where introductions are written.
    pub introductions_channel: Option<ChannelId>,
    /// Given when the last access ends, for plans that end so.
    pub alumni_role: Option<RoleId>,
}

impl GuildSettings {
    /// The special roles that are set.
    pub fn roles(&self) -> impl Iterator<Item = RoleId> {
        [self.debtor_role, self.introduced_role, self.alumni_role]
            .into_iter()
            .flatten()
    }
}

/// Everything that is sold and every server it is sold for, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    /// Grows with every change.
    pub version: i64,
    /// The plans by slug, archived ones too.
    pub plans: BTreeMap<PlanSlug, Plan>,
    /// The servers.
    pub guilds: BTreeMap<GuildId, GuildSettings>,
    /// What each standing means, where the owner decided otherwise.
    pub policy: Policy,
}

impl Catalog {
    /// The plans that these prices sell, each once. Prices belong to one plan each.
    pub fn plans_selling<'a>(&self, prices: impl IntoIterator<Item = &'a StripePriceId>) -> Vec<&Plan> {
        let mut found: Vec<&Plan> = Vec::new();
        for price in prices {
            let sells = |plan: &&Plan| plan.prices.contains(price);
            if let Some(plan) = self.plans.values().find(sells)
                && !found.iter().any(|known| known.slug == plan.slug)
            {
                found.push(plan);
            }
        }
        found
    }

    /// How long access to `plan` lasts after a failed payment.
    pub fn grace(&self, plan: Option<&PlanSlug>, default: TimeDelta) -> TimeDelta {
        plan.and_then(|slug| self.plans.get(slug))
            .and_then(|plan| plan.grace)
            .unwrap_or(default)
    }

    /// What a standing of `plan` gives and does.
    pub fn rule(&self, plan: Option<&PlanSlug>, kind: StandingKind) -> Rule {
        let from_plan = plan
            .and_then(|slug| self.plans.get(slug))
            .map(|plan| plan.change(kind))
            .unwrap_or_default();
        self.policy.rule(plan, kind, &from_plan)
    }

    /// Whether people are removed from `guild` when what they hold there has ended.
    pub fn removes_people(&self, guild: GuildId) -> bool {
        let mut plans = self.plans.values().filter(|plan| plan.end == EndPolicy::Kick);
        plans.any(|plan| plan.roles.iter().any(|role| role.guild == guild))
    }

    /// Every server that some plan or setting names.
    pub fn guild_ids(&self) -> BTreeSet<GuildId> {
        let of_plans = self
            .plans
            .values()
            .flat_map(|plan| plan.roles.iter().map(|role| role.guild));
        let of_policy = self.policy.roles().map(|role| role.guild);
        self.guilds
            .keys()
            .copied()
            .chain(of_plans)
            .chain(of_policy)
            .collect()
    }

    /// The roles in `guild` that Rolecall manages: those of plans, of the policy, and the special ones.
    pub fn mapped_roles(&self, guild: GuildId) -> BTreeSet<RoleId> {
        let of_plans = self.plans.values().flat_map(|plan| plan.roles.iter().copied());
        let special = self.guilds.get(&guild).into_iter().flat_map(GuildSettings::roles);
        of_plans
            .chain(self.policy.roles())
            .filter(|role| role.guild == guild)
            .map(|role| role.role)
            .chain(special)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_and_short() {
        assert!("council-2026".parse::<PlanSlug>().is_ok());
        for bad in ["", "Council", "-council", "council member", &"x".repeat(65)] {
            assert!(bad.parse::<PlanSlug>().is_err(), "{bad:?} was accepted");
        }
    }
}
