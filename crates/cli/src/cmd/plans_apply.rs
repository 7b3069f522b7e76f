//! `rolecall plans apply`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail};
use rolecall_db::{
    Connection, DbError,
    audit::{AuditLine, insert_audit_line},
    catalog::{PlanRow, list_guilds, list_plans, load_catalog},
    impact::{Terms, compare, in_words, list_outlooks},
};
use rolecall_domain::{catalog::EndPolicy, ids::AuditId, impact::Impact};
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
        file::{self, PlansFile},
    },
};

#[derive(Debug, Serialize)]
struct Answer {
    changes: Vec<Change>,
    /// What the changes do to people; `null` without changes.
    impact: Option<Impact>,
    /// The same in words.
    summary: Option<String>,
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
        lines.extend(self.summary.iter().map(|summary| format!("Impact: {summary}.")));
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
    let default_grace = config::default_grace(env)?;
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
    findings.warnings.extend(kick_warnings(&now_sold, &file));
    let mut answer = Answer {
        changes,
        impact: None,
        summary: None,
        applied: false,
        version: None,
        members: 0,
        warnings: findings.warnings,
    };
    if !answer.changes.is_empty() {
        let terms = Terms {
            default_grace,
            now: host.clock.now(),
        };
        apply_and_weigh(&mut tx, &now_sold, &file, terms, &mut answer).await?;
    }
    if dry_run || answer.changes.is_empty() {
        tx.rollback().await?;
    } else {
        audit(&host, &mut tx, &answer).await?;
        tx.commit().await?;
        answer.applied = true;
        if let Err(error) = host.push(&config.redis, &SyncPlans {}).await {
            answer.warnings.push(format!(
                "the worker could not be told at once ({error}); it finds out by itself"
            ));
        }
    }
    if !answer.applied {
        (answer.version, answer.members) = (None, 0);
    }
    printer.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the catalog what the file says, within the transaction, and compares what everybody would have with
/// what they have. Refuses what would lock everybody out.
async fn apply_and_weigh(
    conn: &mut Connection,
    now_sold: &[PlanRow],
    file: &PlansFile,
    terms: Terms,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    let catalog = load_catalog(conn).await?;
    let before = list_outlooks(conn, &catalog, terms).await?;
    let applied = apply::apply(conn, now_sold, file, terms.now).await?;
    (answer.version, answer.members) = (Some(applied.version), applied.members);
    let catalog = load_catalog(conn).await?;
    let after = list_outlooks(conn, &catalog, terms).await?;
    let impact = compare(&before, &after);
    let summary = in_words(conn, &impact).await?;
    if impact.locks_everybody_out() {
        bail!(
            "nothing was applied, because it would lock everybody out: of {} with access now {} would keep it \
             ({summary})",
            impact.with_access_before,
            impact.with_access_after
        );
    }
    (answer.impact, answer.summary) = (Some(impact), Some(summary));
    Ok(())
}

async fn audit(host: &Host, conn: &mut Connection, answer: &Answer) -> Result<(), DbError> {
    let now = host.clock.now();
    let line = AuditLine {
        id: AuditId::generate(now, &*host.rng),
        at: now,
        actor: "cli",
        action: "plans.apply",
        member_id: None,
        subject: &format!("catalog {}", answer.version.unwrap_or_default()),
        detail: json!({ "changes": answer.changes, "impact": answer.impact }),
    };
    insert_audit_line(conn, &line).await
}

/// Plans that from now on remove people from the server at their end.
fn kick_warnings(now_sold: &[PlanRow], file: &PlansFile) -> Vec<String> {
    let kicks = |plan: &&PlanRow| plan.plan.end == EndPolicy::Kick;
    let is_new = |plan: &&PlanRow| {
        let old = now_sold.iter().find(|old| old.plan.slug == plan.plan.slug);
        old.is_none_or(|old| old.plan.end != EndPolicy::Kick)
    };
    let removing = file.plans.iter().filter(kicks).filter(is_new);
    removing
        .map(|plan| {
            format!(
                "plan {}: end = \"kick\" removes people from the server, and not only their roles, when what they \
                 hold there has ended",
                plan.plan.slug
            )
        })
        .collect()
}
