//! What is sold now, written as a plans file.

use std::{collections::BTreeMap, fmt::Write};

use rolecall_db::catalog::PlanRow;
use rolecall_domain::{
    catalog::GuildSettings,
    ids::{GuildId, StripePriceId},
};
use rolecall_runtime::env::parse::duration_text;

/// The file that, applied, changes nothing. Archived plans stand in it as comments.
pub(crate) fn file(plans: &[PlanRow], guilds: &BTreeMap<GuildId, GuildSettings>) -> String {
    let mut text = String::new();
    for row in plans.iter().filter(|row| !row.plan.archived) {
        write_plan(&mut text, row);
    }
    for (guild, settings) in guilds {
        write_guild(&mut text, *guild, settings);
    }
    for row in plans.iter().filter(|row| row.plan.archived) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# archived: {} ({})", row.plan.slug, row.plan.name);
    }
    text
}

fn write_plan(text: &mut String, row: &PlanRow) {
    let plan = &row.plan;
    let quoted = |prices: &std::collections::BTreeSet<StripePriceId>| -> String {
        prices
            .iter()
            .map(|price| quote(price.as_str()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let _ = writeln!(text, "[[plan]]\nslug = {}", quote(plan.slug.as_str()));
    let _ = writeln!(
        text,
        "name = {}\nkind = {}",
        quote(&plan.name),
        quote(plan.kind.as_str())
    );
    let _ = writeln!(text, "prices = [{}]", quoted(&plan.prices));
    if !row.lifetime_prices.is_empty() {
        let _ = writeln!(text, "lifetime_prices = [{}]", quoted(&row.lifetime_prices));
    }
    if let Some(grace) = plan.grace.and_then(|grace| grace.to_std().ok()) {
        let _ = writeln!(text, "grace = {}", quote(&duration_text(grace)));
    }
    if plan.paused_keeps_access {
        text.push_str("paused_keeps_access = true\n");
    }
    if plan.trial_days > 0 {
        let _ = writeln!(text, "trial_days = {}", plan.trial_days);
    }
    let _ = writeln!(text, "end = {}", quote(plan.end.as_str()));
    let _ = writeln!(text, "seat_policy = {}", quote(&row.seat_policy));
    if let Some(seconds) = row
        .seat_grace_seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
    {
        let _ = writeln!(
            text,
            "seat_grace = {}",
            quote(&duration_text(std::time::Duration::from_secs(seconds)))
        );
    }
    let _ = writeln!(text, "proration = {}", quote(&row.proration));
    if !row.promotion_codes {
        text.push_str("promotion_codes = false\n");
    }
    if row.tax {
        text.push_str("tax = true\n");
    }
    for role in &plan.roles {
        let _ = writeln!(
            text,
            "[[plan.role]]\nguild = \"{}\"\nrole = \"{}\"",
            role.guild, role.role
        );
    }
    text.push('\n');
}

fn write_guild(text: &mut String, guild: GuildId, settings: &GuildSettings) {
    let _ = writeln!(text, "[[guild]]\nid = \"{guild}\"");
    let ids = [
        ("debtor_role", settings.debtor_role.map(|id| id.to_string())),
        (
            "introduced_role",
            settings.introduced_role.map(|id| id.to_string()),
        ),
        (
            "introductions_channel",
            settings.introductions_channel.map(|id| id.to_string()),
        ),
        ("alumni_role", settings.alumni_role.map(|id| id.to_string())),
    ];
    for (key, id) in ids {
        if let Some(id) = id {
            let _ = writeln!(text, "{key} = \"{id}\"");
        }
    }
    text.push('\n');
}

/// A TOML string; JSON's escapes are a part of TOML's.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{diff, file as plans_file};

    #[test]
    fn what_is_shown_can_be_applied_and_changes_nothing() {
        let text = "[[plan]]\nslug = \"a\"\nname = \"The \\\"A\\\"\"\nkind = \"company\"\nprices = [\"price_1\"]\n\
            lifetime_prices = [\"price_2\"]\ngrace = \"36h\"\ntrial_days = 7\nend = \"alumni\"\n\
            seat_policy = \"reject\"\nseat_grace = \"3d\"\nproration = \"none\"\npromotion_codes = false\ntax = true\npaused_keeps_access = true\n\
            [[plan.role]]\nguild = \"1\"\nrole = \"2\"\n[[guild]]\nid = \"1\"\nalumni_role = \"3\"\n";
        let first = plans_file::read(text).unwrap();
        let shown = file(&first.plans, &first.guilds);
        let second = plans_file::read(&shown).unwrap();
        assert!(
            diff::changes(&first.plans, &first.guilds, &second).is_empty(),
            "{shown}"
        );
    }
}
