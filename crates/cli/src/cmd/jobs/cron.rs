//! `rolecall jobs list` and `run`: the recurring jobs.

use std::process::ExitCode;

use chrono::SecondsFormat;
use rolecall_db::cron_runs::{CronRun, insert_manual_run, list_last_runs};
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::jobs::{CRON_JOBS, RunCron};
use rolecall_runtime::env::Env;
use serde::Serialize;

use crate::{config, host::Host, output::Printer, runs};

#[derive(Debug, Serialize)]
struct RunView {
    job: String,
    state: String,
    scheduled_for: String,
    outcome: Option<String>,
}

impl From<CronRun> for RunView {
    fn from(run: CronRun) -> Self {
        Self {
            job: run.job,
            state: run.state,
            scheduled_for: run.scheduled_for.to_rfc3339_opts(SecondsFormat::Secs, true),
            outcome: run.outcome,
        }
    }
}

impl RunView {
    fn text(&self) -> String {
        let outcome = self.outcome.as_deref().unwrap_or("");
        format!(
            "{:<20} {:<10} {}  {outcome}",
            self.job, self.state, self.scheduled_for
        )
    }
}

pub(super) async fn list(env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let runs: Vec<RunView> = list_last_runs(&mut tx)
        .await?
        .into_iter()
        .map(RunView::from)
        .collect();
    tx.commit().await?;
    printer.answer(&runs, |runs| {
        if runs.is_empty() {
            return "No recurring job has run yet. Is a worker running with ENABLE_CRON_JOBS=true?"
                .to_owned();
        }
        runs.iter().map(RunView::text).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run(env: &Env, printer: &Printer, name: &str) -> anyhow::Result<ExitCode> {
    if !CRON_JOBS.contains(&name) {
        printer.error(&format!(
            "there is no recurring job {name:?}; there are {}",
            CRON_JOBS.join(", ")
        ));
        return Ok(ExitCode::from(2));
    }
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let now = host.clock.now();
    let run_id = uuid_v7(now, &*host.rng);
    let mut tx = host.db.begin().await?;
    insert_manual_run(&mut tx, run_id, name, now).await?;
    tx.commit().await?;
    host.push(
        &config.redis,
        &RunCron {
            job: name.to_owned(),
            run_id,
            requested_at: now,
        },
    )
    .await?;
    let run: CronRun = runs::wait(&host, run_id).await?;
    let succeeded = run.state == "succeeded";
    printer.answer(&RunView::from(run), RunView::text)?;
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
