//! `rolecall policy`: what each standing means, with what a change does before it is made.

use std::{fmt::Write, path::Path, process::ExitCode};

use anyhow::{Context, anyhow};
use rolecall_db::{
    giving::By,
    impact::Terms,
    policies::{SavedPolicy, current_policy, list_policies},
    policy_change::{PolicyChange, Weighed, save_policy, weigh_policy},
};
use rolecall_domain::{grant::check_reason, impact::Impact, policy::Policy};
use rolecall_queue::jobs::SyncPlans;
use rolecall_runtime::env::Env;
use serde::Serialize;

use crate::{
    args::policy::{PolicyCommand, Set},
    config,
    host::Host,
    output::Printer,
};

pub(super) async fn run(env: &Env, printer: &Printer, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Show => show(env, printer).await,
        PolicyCommand::Set(wanted) => set(env, printer, &wanted).await,
        PolicyCommand::History { limit } => history(env, printer, limit).await,
    }
}

async fn show(env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let current = current_policy(&mut tx).await?;
    tx.commit().await?;
    let file = file(&current)?;
    printer.answer(&current, |_| file)?;
    Ok(ExitCode::SUCCESS)
}

/// The policy as a file that can be set again.
fn file(saved: &SavedPolicy) -> anyhow::Result<String> {
    let text = toml::to_string(&saved.policy).context("write the policy as TOML")?;
    Ok(format!(
        "# {}\nif_version = {}\n\n{text}",
        heading(saved),
        saved.version
    ))
}

fn heading(saved: &SavedPolicy) -> String {
    match saved.saved_at {
        None => "The built-in rules: nothing was decided otherwise yet.".to_owned(),
        Some(at) => format!(
            "Version {}, saved by {} on {}: {}",
            saved.version,
            saved.saved_by,
            at.format("%Y-%m-%d %H:%M UTC"),
            saved.reason
        ),
    }
}

/// What a file says.
#[derive(Debug, PartialEq)]
struct PolicyFile {
    policy: Policy,
    if_version: Option<i64>,
}

fn read(path: &Path) -> anyhow::Result<PolicyFile> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| {
        format!(
            "the policy in {} is not changed: it cannot be read",
            path.display()
        )
    })
}

fn parse(text: &str) -> anyhow::Result<PolicyFile> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| anyhow!("{error}"))?;
    let if_version = match table.remove("if_version") {
        None => None,
        Some(value) => Some(value.as_integer().context("if_version has to be a number")?),
    };
    let policy = table
        .try_into()
        .map_err(|error: toml::de::Error| anyhow!("{}", error.message()))?;
    Ok(PolicyFile { policy, if_version })
}

/// What the API answers, too.
#[derive(Debug, Serialize)]
struct Answer {
    version: i64,
    saved: bool,
    summary: String,
    impact: Impact,
    warnings: Vec<String>,
    #[serde(skip)]
    is_same: bool,
}

impl Answer {
    fn new(weighed: Weighed, saved: bool) -> Self {
        Self {
            version: weighed.version,
            saved,
            summary: weighed.summary,
            impact: weighed.impact,
            warnings: weighed.warnings,
            is_same: weighed.is_same,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![format!("Impact: {}.", self.summary)];
        lines.extend(self.warnings.iter().map(|warning| format!("! {warning}")));
        lines.push(match (self.is_same, self.saved) {
            (true, _) => format!("Nothing to change: this is version {} already.", self.version),
            (false, false) => "Nothing was saved: this is a dry run.".to_owned(),
            (false, true) => format!("Saved as version {}.", self.version),
        });
        lines.join("\n")
    }
}

async fn set(env: &Env, printer: &Printer, wanted: &Set) -> anyhow::Result<ExitCode> {
    let file = read(&wanted.file)?;
    let config = config::with_redis(env)?;
    let default_grace = config::default_grace(env)?;
    let host = Host::new(&config.database)?;
    let now = host.clock.now();
    let change = PolicyChange {
        policy: &file.policy,
        if_version: wanted.if_version.or(file.if_version),
    };
    let terms = Terms { default_grace, now };
    let mut tx = host.db.begin().await?;
    if wanted.dry_run {
        let weighed = weigh_policy(&mut tx, change, terms).await?;
        tx.rollback().await?;
        printer.answer(&Answer::new(weighed, false), Answer::text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let reason = check_reason(wanted.reason.as_deref().unwrap_or_default())?;
    let by = By {
        actor: "cli",
        now,
        rng: &*host.rng,
    };
    let weighed = save_policy(&mut tx, change, &reason, terms, by).await?;
    tx.commit().await?;
    let saved = !weighed.is_same;
    let mut answer = Answer::new(weighed, saved);
    if saved && let Err(error) = host.push(&config.redis, &SyncPlans {}).await {
        answer.warnings.push(format!(
            "the worker could not be told at once ({error:#}); it finds out by itself"
        ));
    }
    printer.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

async fn history(env: &Env, printer: &Printer, limit: u16) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let saved = list_policies(&mut tx, None, limit.into()).await?;
    tx.commit().await?;
    printer.answer(&saved, |saved| {
        if saved.is_empty() {
            return "The built-in rules are in force; no policy was ever saved.".to_owned();
        }
        let mut text = String::new();
        for version in saved {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}", heading(version));
        }
        text
    })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "if_version = 3\n[standings.grace]\naccess = false\n\
        roles = [{ guild = \"1\", role = \"2\" }]\n[plans.council.ended]\nalumni = true\ndelay_seconds = 60\n\
        [reversals]\nfull_refund = \"hold\"\n";

    #[test]
    fn what_is_shown_can_be_set_again() {
        let read = parse(FILE).unwrap();
        assert_eq!(read.if_version, Some(3));
        let saved = SavedPolicy {
            version: 3,
            policy: read.policy.clone(),
            saved_at: "2026-11-20T12:00:00Z".parse().ok(),
            saved_by: "cli".to_owned(),
            reason: "stricter".to_owned(),
        };
        let shown = file(&saved).unwrap();
        assert!(
            shown.starts_with("# Version 3, saved by cli on 2026-11-20 12:00 UTC: stricter\n"),
            "{shown}"
        );
        assert_eq!(parse(&shown).unwrap(), read, "{shown}");
    }

    #[test]
    fn the_policy_of_the_runbook_can_be_set() {
        let page = include_str!("../../../../deploy/runbooks/people-and-policy.md");
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (file, _) = rest.split_once("```").unwrap();
        let read = parse(file).unwrap();
        assert_eq!(read.if_version, Some(3));
        assert_eq!(read.policy.faults(), [""; 0]);
    }

    #[test]
    fn an_empty_file_is_the_built_in_rules_and_a_misspelt_key_is_named() {
        assert_eq!(parse("").unwrap().policy, Policy::default());
        for (text, word) in [
            ("[standing.grace]\naccess = false", "standing"),
            ("[standings.grace]\nacces = false", "acces"),
            ("[standings.gracious]\naccess = false", "gracious"),
            ("if_version = \"x\"", "number"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
