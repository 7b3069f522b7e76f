//! What applying a file changes, in words.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_db::catalog::PlanRow;
use rolecall_domain::{
    catalog::{GuildSettings, PlanSlug},
    ids::{GuildId, StripePriceId},
};
use rolecall_runtime::env::parse::duration_text;
use serde::Serialize;

use crate::plans::file::PlansFile;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// `add`, `change` or `archive`.
    pub(crate) verb: &'static str,
    /// What it concerns, such as `plan council`.
    pub(crate) subject: String,
    /// What about it.
    pub(crate) details: Vec<String>,
}

impl Change {
    pub(crate) fn text(&self) -> String {
        let sign = match self.verb {
            "add" => '+',
            "archive" => '-',
            _ => '~',
        };
        let details: Vec<String> = self
            .details
            .iter()
            .map(|detail| format!("\n    {detail}"))
            .collect();
        format!("{sign} {}{}", self.subject, details.concat())
    }
}

/// What leads from what is sold now to what the file says. Empty: nothing to do.
pub(crate) fn changes(
    now: &[PlanRow],
    guilds_now: &BTreeMap<GuildId, GuildSettings>,
    file: &PlansFile,
) -> Vec<Change> {
    let mut changes = Vec::new();
    for plan in &file.plans {
        let subject = format!("plan {} ({})", plan.plan.slug, plan.plan.name);
        match now.iter().find(|old| old.plan.slug == plan.plan.slug) {
            None => changes.push(Change {
                verb: "add",
                subject,
                details: describe(plan),
            }),
            Some(old) if old == plan => {}
            Some(old) => changes.push(Change {
                verb: "change",
                subject,
                details: differences(old, plan),
            }),
        }
    }
    let kept: BTreeSet<&PlanSlug> = file.plans.iter().map(|plan| &plan.plan.slug).collect();
    for old in now
        .iter()
        .filter(|old| !old.plan.archived && !kept.contains(&old.plan.slug))
    {
        let details = vec!["no longer sold; who holds it keeps it".to_owned()];
        changes.push(Change {
            verb: "archive",
            subject: format!("plan {}", old.plan.slug),
            details,
        });
    }
    changes.extend(guild_changes(guilds_now, &file.guilds));
    changes
}

fn guild_changes(
    now: &BTreeMap<GuildId, GuildSettings>,
    file: &BTreeMap<GuildId, GuildSettings>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let none = GuildSettings::default();
    for guild in now.keys().chain(file.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (now.get(guild).unwrap_or(&none), file.get(guild).unwrap_or(&none));
        let verb = match (now.contains_key(guild), file.contains_key(guild)) {
            (false, _) => "add",
            (_, false) => "archive",
            _ if old == new => continue,
            _ => "change",
        };
        let show = |id: Option<String>| id.unwrap_or_else(|| "none".to_owned());
        let fields = [
            (
                "debtor_role",
                old.debtor_role.map(|id| id.to_string()),
                new.debtor_role.map(|id| id.to_string()),
            ),
            (
                "introduced_role",
                old.introduced_role.map(|id| id.to_string()),
                new.introduced_role.map(|id| id.to_string()),
            ),
            (
                "introductions_channel",
                old.introductions_channel.map(|id| id.to_string()),
                new.introductions_channel.map(|id| id.to_string()),
            ),
            (
                "alumni_role",
                old.alumni_role.map(|id| id.to_string()),
                new.alumni_role.map(|id| id.to_string()),
            ),
        ];
        let details = fields
            .into_iter()
            .filter(|(_, old, new)| old != new)
            .map(|(key, old, new)| format!("{key}: {} -> {}", show(old), show(new)))
            .collect();
        changes.push(Change {
            verb,
            subject: format!("guild {guild}"),
            details,
        });
    }
    changes
}

/// The parts of a plan by key, as the file would write them.
fn parts(row: &PlanRow) -> [(&'static str, String); 15] {
    let plan = &row.plan;
    let prices = |prices: &BTreeSet<StripePriceId>| -> String {
        prices
            .iter()
            .map(StripePriceId::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let roles: Vec<String> = plan
        .roles
        .iter()
        .map(|role| format!("{} in {}", role.role, role.guild))
        .collect();
    let grace = plan.grace.and_then(|grace| grace.to_std().ok());
    let seat_grace = row
        .seat_grace_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    [
        ("name", plan.name.clone()),
        ("kind", plan.kind.as_str().to_owned()),
        ("prices", prices(&plan.prices)),
        ("lifetime_prices", prices(&row.lifetime_prices)),
        ("roles", roles.join(", ")),
        ("grace", grace.map_or_else(|| "default".to_owned(), duration_text)),
        ("trial_days", plan.trial_days.to_string()),
        ("end", plan.end.as_str().to_owned()),
        ("paused_keeps_access", plan.paused_keeps_access.to_string()),
        ("seat_policy", row.seat_policy.clone()),
        (
            "seat_grace",
            seat_grace.map_or_else(
                || "default".to_owned(),
                |s| duration_text(std::time::Duration::from_secs(s)),
            ),
        ),
        ("proration", row.proration.clone()),
        ("promotion_codes", row.promotion_codes.to_string()),
        ("tax", row.tax.to_string()),
        ("place", (row.position + 1).to_string()),
    ]
}

fn describe(plan: &PlanRow) -> Vec<String> {
    let worth_saying = ["kind", "prices", "lifetime_prices", "roles", "grace"];
    parts(plan)
        .into_iter()
        .filter(|(key, value)| worth_saying.contains(key) && !value.is_empty())
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

fn differences(old: &PlanRow, new: &PlanRow) -> Vec<String> {
    let mut details: Vec<String> = parts(old)
        .into_iter()
        .zip(parts(new))
        .filter(|((_, old), (_, new))| old != new)
        .map(|((key, old), (_, new))| format!("{key}: {old} -> {new}"))
        .collect();
    if old.plan.archived {
        details.push("sold again".to_owned());
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::file;

    const FILE: &str = "[[plan]]\nslug = \"a\"\nname = \"A\"\nkind = \"individual\"\nprices = [\"price_1\"]\n\
        [[plan.role]]\nguild = \"1\"\nrole = \"2\"\n[[guild]]\nid = \"1\"\ndebtor_role = \"3\"\n";

    #[test]
    fn a_new_plan_and_a_new_server_are_added() {
        let file = file::read(FILE).unwrap();
        let text: Vec<String> = changes(&[], &BTreeMap::new(), &file)
            .iter()
            .map(Change::text)
            .collect();
        assert_eq!(
            text,
            [
                "+ plan a (A)\n    kind: individual\n    prices: price_1\n    roles: 2 in 1\n    grace: default",
                "+ guild 1\n    debtor_role: none -> 3",
            ]
        );
    }

    #[test]
    fn the_same_file_again_changes_nothing() {
        let file = file::read(FILE).unwrap();
        assert!(changes(&file.plans, &file.guilds, &file).is_empty());
    }

    #[test]
    fn a_plan_that_is_gone_from_the_file_is_archived() {
        let now = file::read(FILE).unwrap();
        let text: Vec<String> = changes(&now.plans, &now.guilds, &PlansFile::default())
            .iter()
            .map(Change::text)
            .collect();
        assert_eq!(text[0], "- plan a\n    no longer sold; who holds it keeps it");
        assert_eq!(text[1], "- guild 1\n    debtor_role: 3 -> none");
    }

    #[test]
    fn what_differs_is_named() {
        let now = file::read(FILE).unwrap();
        let file = file::read(&FILE.replace("price_1", "price_9")).unwrap();
        let changes = changes(&now.plans, &now.guilds, &file);
        assert_eq!(changes[0].details, ["prices: price_1 -> price_9"]);
    }
}
