//! `rolecall reconcile`: asks for a run, waits for it, and prints what it found.

use std::{fmt::Write, process::ExitCode};

use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    reconcile_findings::{Finding, list_findings},
    reconcile_runs::{self, NewRun, Run, RunState, insert_reconcile_run},
};
use rolecall_domain::{
    catalog::GuildRole,
    ids::{AuditId, uuid_v7},
};
use rolecall_runtime::env::Env;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    args::reconcile::{Reconcile, Scope},
    config,
    host::Host,
    output::Printer,
    runs,
};

/// So many findings at a time.
const PAGE: i64 = 1_000;

/// Who asks, in the audit log.
const ACTOR: &str = "cli";

#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    run: Run,
    findings: Vec<Finding>,
}

pub(super) async fn run(env: &Env, printer: &Printer, asked: &Reconcile) -> anyhow::Result<ExitCode> {
    if asked.scope != Scope::Stripe {
        printer.error(
            "only the scope `stripe` can be reconciled by a run; roles in Discord are compared by the bot itself, \
             whenever it sees a server anew",
        );
        return Ok(ExitCode::from(2));
    }
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let run_id = request(&host, asked).await?;
    let job = rolecall_queue::jobs::Reconcile { run_id };
    host.push(&config.redis, &job).await?;
    let run = runs::wait(&host, run_id).await?;
    let findings = all_findings(&host, run_id).await?;
    let answer = Answer { run, findings };
    printer.answer(&answer, text)?;
    Ok(if is_good(&answer.run) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether there is nothing left to do: a dry run has found nothing, or all was mended.
fn is_good(run: &Run) -> bool {
    let figures = run.figures;
    match run.state {
        RunState::Done if run.dry_run => figures.findings == 0,
        RunState::Done => figures.failed == 0,
        _ => false,
    }
}

async fn request(host: &Host, asked: &Reconcile) -> anyhow::Result<Uuid> {
    let now = host.clock.now();
    let run = NewRun {
        id: uuid_v7(now, &*host.rng),
        scope: reconcile_runs::Scope::Stripe,
        dry_run: asked.dry_run,
        requested_by: ACTOR,
        approved: asked.yes,
    };
    let line = AuditLine {
        id: AuditId::generate(now, &*host.rng),
        at: now,
        actor: ACTOR,
        action: "reconcile.request",
        member_id: None,
        subject: &run.id.to_string(),
        detail: json!({ "dry_run": asked.dry_run, "yes": asked.yes }),
    };
    let mut tx = host.db.begin().await?;
    insert_reconcile_run(&mut tx, &run, now).await?;
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(run.id)
}

async fn all_findings(host: &Host, run_id: Uuid) -> anyhow::Result<Vec<Finding>> {
    let mut all: Vec<Finding> = Vec::new();
    loop {
        let after = all.last().map(|finding| finding.object_id.clone());
        let mut tx = host.db.begin().await?;
        let page = list_findings(&mut tx, run_id, after.as_deref(), PAGE).await?;
        tx.commit().await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

fn text(answer: &Answer) -> String {
    let Answer { run, findings } = answer;
    let mut text = String::new();
    for finding in findings {
        let member = finding
            .member_id
            .map_or_else(|| "nobody".to_owned(), |member| member.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<32} {:<36} {:<8} {}",
            finding.object_id,
            member,
            finding.state.as_str(),
            finding.reason
        );
        for (sign, roles) in [('+', &finding.gains), ('-', &finding.losses)] {
            for GuildRole { guild, role } in roles {
                let _ = writeln!(text, "    {sign} role {role} in server {guild}");
            }
        }
        if let Some(error) = &finding.error {
            let _ = writeln!(text, "    ! {error}");
        }
    }
    text.push_str(&summary(run));
    text
}

fn summary(run: &Run) -> String {
    let figures = run.figures;
    let seen = format!(
        "{} subscriptions at Stripe, {} here, {} findings; {} people would lose access.",
        figures.listed, figures.known, figures.findings, figures.removals
    );
    match run.state {
        RunState::Held => format!(
            "{seen}\nThe run {} is held and has changed nothing:\n{}\nIf that is right, say so: rolecall reconcile --yes",
            run.id,
            bullets(&run.hold_reasons)
        ),
        RunState::Failed => format!(
            "The run {} failed: {}\n{} findings were mended before; what was not is as it was.",
            run.id,
            run.error.as_deref().unwrap_or("nobody knows why"),
            figures.applied
        ),
        _ if run.dry_run && !run.hold_reasons.is_empty() => {
            format!("{seen}\nIt would be held:\n{}", bullets(&run.hold_reasons))
        }
        _ if run.dry_run => format!("{seen}\nNothing was changed."),
        _ => format!(
            "{} subscriptions at Stripe, {} here, {} findings: {} mended, {} for the owner, {} failed.",
            figures.listed, figures.known, figures.findings, figures.applied, figures.noted, figures.failed
        ),
    }
}

fn bullets(reasons: &[String]) -> String {
    let lines = reasons.iter().map(|reason| format!("- {reason}"));
    lines.collect::<Vec<_>>().join("\n")
}
