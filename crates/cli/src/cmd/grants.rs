//! `rolecall grants`: plans that staff gives without payment.

use std::{fmt::Write, process::ExitCode};

use anyhow::bail;
use rolecall_db::{
    catalog::load_catalog,
    giving::{By, give, take_back},
    grants::{GrantRow, GrantSelection, list_grant_rows},
};
use rolecall_domain::{
    grant,
    ids::{GrantId, MemberId},
    trigger::Trigger,
};
use rolecall_queue::jobs::ConvergeMember;
use rolecall_runtime::{config::RedisConfig, env::Env};
use serde::Serialize;

use crate::{
    args::grants::{Add, Grants},
    config,
    host::Host,
    output::Printer,
    who,
};

/// How the audit log names whoever uses the command.
const ACTOR: &str = "cli";

pub(super) async fn run(env: &Env, printer: &Printer, command: Grants) -> anyhow::Result<ExitCode> {
    match command {
        Grants::Add(add) => give_one(env, printer, &add).await,
        Grants::List { who, all, limit } => list(env, printer, who.as_deref(), all, limit).await,
        Grants::Revoke { grant_id } => revoke(env, printer, grant_id).await,
    }
}

/// A grant, and what went wrong on the way without spoiling it.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    grant: GrantRow,
    warnings: Vec<String>,
}

impl Answer {
    fn text(&self, done: &str) -> String {
        let warnings = self.warnings.iter().map(|warning| format!("\n! {warning}"));
        let warnings: String = warnings.collect();
        format!("{done}: {}{warnings}", line(&self.grant))
    }
}

async fn give_one(env: &Env, printer: &Printer, add: &Add) -> anyhow::Result<ExitCode> {
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let now = host.clock.now();
    let mut tx = host.db.begin().await?;
    let member_id = who::find(&mut tx, &add.who).await?;
    let catalog = load_catalog(&mut tx).await?;
    let gift = grant::check(&catalog, &add.plan, &add.reason, add.ends_at(now), now)?;
    let by = By {
        actor: ACTOR,
        now,
        rng: &*host.rng,
    };
    let grant = give(&mut tx, member_id, &gift, by).await?;
    tx.commit().await?;
    let warnings = hint(&host, &config.redis, member_id).await;
    printer.answer(&Answer { grant, warnings }, |answer| answer.text("Given"))?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke(env: &Env, printer: &Printer, id: GrantId) -> anyhow::Result<ExitCode> {
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let by = By {
        actor: ACTOR,
        now: host.clock.now(),
        rng: &*host.rng,
    };
    let mut tx = host.db.begin().await?;
    let Some(grant) = take_back(&mut tx, id, by).await? else {
        bail!("there is no grant {id}; `rolecall grants list --all` prints them")
    };
    tx.commit().await?;
    let warnings = hint(&host, &config.redis, grant.member_id).await;
    printer.answer(&Answer { grant, warnings }, |answer| answer.text("Taken back"))?;
    Ok(ExitCode::SUCCESS)
}

async fn hint(host: &Host, redis: &RedisConfig, member_id: MemberId) -> Vec<String> {
    let job = ConvergeMember {
        member_id,
        reason: Trigger::Grant.as_str().to_owned(),
    };
    let pushed = host.push(redis, &job).await;
    let warning = pushed.err().map(|error| {
        format!("the worker could not be told at once ({error:#}); it finds out by itself within a minute")
    });
    warning.into_iter().collect()
}

async fn list(
    env: &Env,
    printer: &Printer,
    name: Option<&str>,
    all: bool,
    limit: u16,
) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let member_id = match name {
        Some(name) => Some(who::find(&mut tx, name).await?),
        None => None,
    };
    let selection = GrantSelection {
        member_id,
        is_open: !all,
        ..GrantSelection::default()
    };
    let grants = list_grant_rows(&mut tx, selection, None, limit.into(), host.clock.now()).await?;
    tx.commit().await?;
    printer.answer(&grants, |grants| text(grants))?;
    Ok(ExitCode::SUCCESS)
}

fn text(grants: &[GrantRow]) -> String {
    if grants.is_empty() {
        return "There are none.".to_owned();
    }
    let mut text = String::new();
    for grant in grants {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(grant));
    }
    text
}

/// The grant in two lines.
fn line(grant: &GrantRow) -> String {
    let end = grant.ends_at.map_or_else(
        || "for ever".to_owned(),
        |end| format!("until {}", end.format("%Y-%m-%d %H:%M UTC")),
    );
    let revoked = match (&grant.revoked_by, grant.revoked_at) {
        (Some(by), Some(at)) => format!(", taken back by {by} on {}", at.format("%Y-%m-%d")),
        _ => String::new(),
    };
    format!(
        "{}  {}  {} to {} {end}\n    given by {} on {}{revoked}: {}",
        grant.id,
        grant.state,
        grant.plan,
        grant.member_id,
        grant.granted_by,
        grant.created_at.format("%Y-%m-%d"),
        grant.reason
    )
}
