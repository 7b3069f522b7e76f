//! Reads a plans file: its shape, its values, and what it says twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use chrono::TimeDelta;
use rolecall_db::catalog::PlanRow;
use rolecall_domain::{
    catalog::{EndPolicy, GuildRole, GuildSettings, Plan, PlanKind, PlanSlug},
    ids::{ChannelId, GuildId, RoleId, StripePriceId},
};
use rolecall_runtime::env::parse;
use serde::Deserialize;
use toml::Spanned;

use crate::plans::fault::{Fault, Lines};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default, rename = "plan")]
    plans: Vec<RawPlan>,
    #[serde(default, rename = "guild")]
    guilds: Vec<RawGuild>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    slug: Spanned<String>,
    name: Spanned<String>,
    kind: Spanned<String>,
    #[serde(default)]
    prices: Vec<Spanned<String>>,
    #[serde(default)]
    lifetime_prices: Vec<Spanned<String>>,
    grace: Option<Spanned<String>>,
    #[serde(default)]
    paused_keeps_access: bool,
    trial_days: Option<Spanned<i64>>,
    end: Option<Spanned<String>>,
    seat_policy: Option<Spanned<String>>,
    seat_grace: Option<Spanned<String>>,
    proration: Option<Spanned<String>>,
    promotion_codes: Option<bool>,
    #[serde(default)]
    tax: bool,
    #[serde(default, rename = "role")]
    roles: Vec<RawRole>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRole {
    guild: Spanned<String>,
    role: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGuild {
    id: Spanned<String>,
    debtor_role: Option<Spanned<String>>,
    introduced_role: Option<Spanned<String>>,
    introductions_channel: Option<Spanned<String>>,
    alumni_role: Option<Spanned<String>>,
}

/// A role that the file names, and on which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamedRole {
    pub(crate) guild: GuildId,
    pub(crate) role: RoleId,
    pub(crate) line: usize,
}

/// A price that the file names, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPrice {
    pub(crate) id: StripePriceId,
    pub(crate) lifetime: bool,
    pub(crate) line: usize,
}

/// A plans file that makes sense by itself.
#[derive(Debug, Default)]
pub(crate) struct PlansFile {
    pub(crate) plans: Vec<PlanRow>,
    /// The prices of each plan in the order of the file, which is the order on pages.
    pub(crate) price_order: BTreeMap<PlanSlug, Vec<NamedPrice>>,
    pub(crate) guilds: BTreeMap<GuildId, GuildSettings>,
    pub(crate) roles: Vec<NamedRole>,
}

/// Reads a file, or names every fault in it.
pub(crate) fn read(text: &str) -> Result<PlansFile, Vec<Fault>> {
    let lines = Lines(text);
    let raw: RawFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of(&span));
        vec![Fault::new(line, error.message().to_owned())]
    })?;
    let mut reader = Reading {
        lines,
        faults: Vec::new(),
        file: PlansFile::default(),
        prices: BTreeMap::new(),
    };
    for (position, plan) in raw.plans.into_iter().enumerate() {
        reader.plan(plan, i32::try_from(position).unwrap_or(i32::MAX));
    }
    for guild in raw.guilds {
        reader.guild(&guild);
    }
    if reader.faults.is_empty() {
        return Ok(reader.file);
    }
    reader.faults.sort();
    Err(reader.faults)
}

/// A file that is being read, with the faults found so far.
struct Reading<'a> {
    lines: Lines<'a>,
    faults: Vec<Fault>,
    file: PlansFile,
    /// On which line, in which plan, each price was named first.
    prices: BTreeMap<String, (usize, String)>,
}

impl Reading<'_> {
    fn plan(&mut self, raw: RawPlan, position: i32) {
        let line = self.line(&raw.slug);
        let slug = self.value::<PlanSlug>(&raw.slug);
        if let Some(slug) = &slug
            && self.file.plans.iter().any(|plan| plan.plan.slug == *slug)
        {
            self.faults.push(Fault::new(
                line,
                format!("the slug {slug:?} is used by two plans; give each its own"),
            ));
        }
        if raw.name.get_ref().trim().is_empty() {
            let line = self.line(&raw.name);
            self.faults
                .push(Fault::new(line, "name is empty; it is what members read"));
        }
        if raw.roles.is_empty() {
            let problem = "the plan gives no role; add a [[plan.role]] with guild and role";
            self.faults.push(Fault::new(line, problem));
        }
        let choice = |reading: &mut Self, raw: Option<&Spanned<String>>, key, allowed: &[&'static str]| {
            reading.choice(raw, key, allowed)
        };
        let kind = choice(self, Some(&raw.kind), "kind", &["individual", "company"]);
        let end = choice(self, raw.end.as_ref(), "end", &["remove", "alumni", "kick"]);
        let seat_policy = choice(
            self,
            raw.seat_policy.as_ref(),
            "seat_policy",
            &["grace", "reject"],
        );
        let proration = choice(self, raw.proration.as_ref(), "proration", &["always", "none"]);
        let grace = self.duration(raw.grace.as_ref(), "grace");
        let seat_grace = self.duration(raw.seat_grace.as_ref(), "seat_grace");
        let trial_days = self.trial_days(raw.trial_days.as_ref());
        let owner = raw.slug.get_ref().clone();
        let mut prices = self.prices(&raw.prices, &owner, false);
        prices.extend(self.prices(&raw.lifetime_prices, &owner, true));
        let roles = raw.roles.iter().filter_map(|role| self.role(role)).collect();
        let Some(slug) = slug else { return };
        let of_kind = |lifetime: bool| -> BTreeSet<StripePriceId> {
            prices
                .iter()
                .filter(|price| price.lifetime == lifetime)
                .map(|price| price.id.clone())
                .collect()
        };
        self.file.plans.push(PlanRow {
            plan: Plan {
                slug: slug.clone(),
                name: raw.name.into_inner().trim().to_owned(),
                kind: if kind == "company" {
                    PlanKind::Company
                } else {
                    PlanKind::Individual
                },
                prices: of_kind(false),
                grace,
                paused_keeps_access: raw.paused_keeps_access,
                trial_days,
                end: match end {
                    "alumni" => EndPolicy::Alumni,
                    "kick" => EndPolicy::Kick,
                    _ => EndPolicy::Remove,
                },
                roles,
                archived: false,
            },
            lifetime_prices: of_kind(true),
            position,
            seat_policy: seat_policy.to_owned(),
            seat_grace_seconds: seat_grace.map(|grace| grace.num_seconds()),
            proration: proration.to_owned(),
            promotion_codes: raw.promotion_codes.unwrap_or(true),
            tax: raw.tax,
        });
        self.file.price_order.insert(slug, prices);
    }

    fn guild(&mut self, raw: &RawGuild) {
        let line = self.line(&raw.id);
        let Some(id) = self.value::<GuildId>(&raw.id) else {
            return;
        };
        let settings = GuildSettings {
            debtor_role: self.special_role(id, raw.debtor_role.as_ref()),
            introduced_role: self.special_role(id, raw.introduced_role.as_ref()),
            introductions_channel: raw
                .introductions_channel
                .as_ref()
                .and_then(|raw| self.value::<ChannelId>(raw)),
            alumni_role: self.special_role(id, raw.alumni_role.as_ref()),
        };
        if self.file.guilds.insert(id, settings).is_some() {
            self.faults.push(Fault::new(
                line,
                format!("the server {id} has two [[guild]] tables; keep one"),
            ));
        }
    }

    fn role(&mut self, raw: &RawRole) -> Option<GuildRole> {
        let line = self.line(&raw.role);
        let (guild, role) = (self.value::<GuildId>(&raw.guild), self.value::<RoleId>(&raw.role));
        let (guild, role) = (guild?, role?);
        self.file.roles.push(NamedRole { guild, role, line });
        Some(GuildRole { guild, role })
    }

    fn special_role(&mut self, guild: GuildId, raw: Option<&Spanned<String>>) -> Option<RoleId> {
        let raw = raw?;
        let role = self.value::<RoleId>(raw)?;
        let line = self.line(raw);
        self.file.roles.push(NamedRole { guild, role, line });
        Some(role)
    }

    fn prices(&mut self, raw: &[Spanned<String>], plan: &str, lifetime: bool) -> Vec<NamedPrice> {
        let mut prices = Vec::new();
        for price in raw {
            let line = self.line(price);
            let id = price.get_ref();
            if id.is_empty() || id.contains(|c: char| c.is_whitespace() || c.is_control()) {
                self.faults.push(Fault::new(
                    line,
                    "a price id is empty or holds blanks (example: \"price_123\")",
                ));
                continue;
            }
            if id.starts_with("prod_") {
                self.faults.push(Fault::new(
                    line,
                    format!("{id:?} is a product; name its price, which begins price_"),
                ));
                continue;
            }
            if let Some((first, owner)) = self.prices.get(id) {
                let problem = format!(
                    "the price {id:?} sells plan {owner:?} already (line {first}); a price sells one plan"
                );
                self.faults.push(Fault::new(line, problem));
                continue;
            }
            self.prices.insert(id.clone(), (line, plan.to_owned()));
            prices.push(NamedPrice {
                id: StripePriceId::new(id.clone()),
                lifetime,
                line,
            });
        }
        prices
    }

    fn choice(&mut self, raw: Option<&Spanned<String>>, key: &str, allowed: &[&'static str]) -> &'static str {
        let default = allowed.first().copied().unwrap_or_default();
        let Some(raw) = raw else { return default };
        let found = allowed.iter().find(|word| **word == raw.get_ref().as_str());
        if let Some(word) = found {
            return word;
        }
        let line = self.line(raw);
        let words: Vec<String> = allowed.iter().map(|word| format!("{word:?}")).collect();
        let problem = format!("{key} is {:?}; expected {}", raw.get_ref(), words.join(" or "));
        self.faults.push(Fault::new(line, problem));
        default
    }

    fn duration(&mut self, raw: Option<&Spanned<String>>, key: &str) -> Option<TimeDelta> {
        let raw = raw?;
        let range = std::time::Duration::ZERO..=std::time::Duration::from_hours(365 * 24);
        let parsed = parse::duration(range)(raw.get_ref());
        let duration = parsed
            .ok()
            .and_then(|duration| TimeDelta::from_std(duration).ok());
        if duration.is_none() {
            let line = self.line(raw);
            let problem = format!(
                "{key} is {:?}; expected a duration such as \"7d\" or \"12h\"",
                raw.get_ref()
            );
            self.faults.push(Fault::new(line, problem));
        }
        duration
    }

    /// Stripe takes at most two years of trial.
    fn trial_days(&mut self, raw: Option<&Spanned<i64>>) -> u32 {
        let Some(raw) = raw else { return 0 };
        if let Some(days) = u32::try_from(*raw.get_ref()).ok().filter(|days| *days <= 730) {
            return days;
        }
        let line = self.line(raw);
        self.faults.push(Fault::new(
            line,
            format!("trial_days is {}; expected 0 to 730", raw.get_ref()),
        ));
        0
    }

    fn value<T: FromStr<Err: std::fmt::Display>>(&mut self, raw: &Spanned<String>) -> Option<T> {
        match raw.get_ref().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let line = self.line(raw);
                self.faults.push(Fault::new(line, error.to_string()));
                None
            }
        }
    }

    fn line<T>(&self, raw: &Spanned<T>) -> usize {
        self.lines.of(&raw.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[plan]]
slug = "council"
name = "Council member"
kind = "individual"
prices = ["price_1", "price_2"]
grace = "7d"
[[plan.role]]
guild = "111"
role = "222"

[[guild]]
id = "111"
debtor_role = "333"
"#;

    fn faults(text: &str) -> Vec<(usize, String)> {
        read(text)
            .unwrap_err()
            .into_iter()
            .map(|fault| (fault.line, fault.problem))
            .collect()
    }

    #[test]
    fn a_good_file_is_read() {
        let file = read(GOOD).unwrap();
        let plan = &file.plans[0].plan;
        assert_eq!(
            (plan.slug.as_str(), plan.prices.len(), plan.grace),
            ("council", 2, Some(TimeDelta::days(7)))
        );
        assert_eq!(file.guilds.len(), 1);
        assert_eq!(
            file.roles.iter().map(|role| role.line).collect::<Vec<_>>(),
            [10, 14]
        );
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = GOOD
            .replace("individual", "personal")
            .replace("7d", "soon")
            .replace("\"222\"", "\"council\"");
        let found = faults(&text);
        let lines: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [5, 7, 10], "{found:?}");
    }

    #[test]
    fn what_is_said_twice_is_a_fault() {
        let twice = format!("{GOOD}{}", GOOD.trim_start());
        let problems: Vec<String> = faults(&twice).into_iter().map(|(_, problem)| problem).collect();
        for expected in [
            "used by two plans",
            "\"price_1\" sells plan",
            "two [[guild]] tables",
        ] {
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected}: {problems:?}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_a_fault_on_its_line() {
        let found = faults(&GOOD.replace("grace =", "gracee ="));
        assert_eq!(found.len(), 1);
        assert!(found[0].0 == 7 && found[0].1.contains("gracee"), "{found:?}");
    }

    #[test]
    fn a_plan_without_roles_and_an_unknown_end_are_faults() {
        let text =
            "[[plan]]\nslug = \"a\"\nname = \"A\"\nkind = \"company\"\nend = \"ban\"\ntrial_days = 999\n";
        let found = faults(text);
        assert_eq!(
            found.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
            [2, 5, 6],
            "{found:?}"
        );
    }
}
