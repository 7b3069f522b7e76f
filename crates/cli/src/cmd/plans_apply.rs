//! `rolecall plans apply`.

use std::{path::Path, process::ExitCode};

use anyhow::Context;
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    catalog::{list_guilds, list_plans},
};
use rolecall_domain::ids::AuditId;
use rolecall_queue::jobs::SyncPlans;
use rolecall_runtime::env::Env;
use serde::Serialize;
use serde_json::json;

use crate::{
    config,
    host::Host,
    output::Printer,
    plans::{
        apply, check,
        diff::{self, Change},
        fault::FileError,
        file,
    },
};

#[derive(Debug, Serialize)]
struct Answer {
    changes: Vec<Change>,
    applied: bool,
    /// The catalog's version after it.
    version: Option<i64>,
    /// People whose roles are worked out again.
    members: u64,
    warnings: Vec<String>,
}

impl Answer {
    fn text(&self) -> String {
        let mut lines: Vec<String> = self.changes.iter().map(Change::text).collect();
        lines.extend(self.warnings.iter().map(|warning| format!("! {warning}")));
        lines.push(match (self.changes.is_empty(), self.applied) {
            (true, _) => "Nothing to change.".to_owned(),
            (false, false) => "Nothing was applied: this is a dry run.".to_owned(),
            (false, true) => format!(
                "Applied; the roles of {} people are worked out again.",
                self.members
            ),
        });
        lines.join("\n")
    }
}

pub(super) async fn run(
    env: &Env,
    printer: &Printer,
    path: &Path,
    dry_run: bool,
) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let refuse = |faults| FileError {
        path: path.display().to_string(),
        faults,
    };
    let file = file::read(&text).map_err(refuse)?;
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let stripe = config::stripe(env)?;
    let stripe = stripe.map(|stripe| host.stripe(&stripe)).transpose()?;
    let prices = check::prices(stripe.as_ref(), &file).await;

    let mut tx = host.db.begin().await?;
    let mut findings = check::roles(&mut tx, &file).await?;
    findings.faults.extend(prices.faults);
    findings.warnings.extend(prices.warnings);
    if !findings.faults.is_empty() {
        findings.faults.sort();
        return Err(refuse(findings.faults).into());
    }
    let now_sold = list_plans(&mut tx).await?;
    let changes = diff::changes(&now_sold, &list_guilds(&mut tx).await?, &file);
    let mut answer = Answer {
        changes,
        applied: false,
        version: None,
        members: 0,
        warnings: findings.warnings,
    };
    if !dry_run && !answer.changes.is_empty() {
        let now = host.clock.now();
        let (version, members) = apply::apply(&mut tx, &now_sold, &file, now).await?;
        let line = AuditLine {
            id: AuditId::generate(now, &*host.rng),
            at: now,
            actor: "cli",
            action: "plans.apply",
            member_id: None,
            subject: &format!("catalog {version}"),
            detail: json!({ "changes": answer.changes }),
        };
        insert_audit_line(&mut tx, &line).await?;
        tx.commit().await?;
        (answer.applied, answer.version, answer.members) = (true, Some(version), members);
        if let Err(error) = host.push(&config.redis, &SyncPlans {}).await {
            answer.warnings.push(format!(
                "the worker could not be told at once ({error}); it finds out by itself"
            ));
        }
    }
    printer.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}
