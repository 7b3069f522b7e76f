//! The clock of the recurring jobs: claims ticks and runs what it claimed.

use std::{sync::Arc, time::Duration};

use rolecall_db::cron_runs::insert_tick;
use rolecall_domain::ids::uuid_v7;
use tokio_util::sync::CancellationToken;

use crate::{
    cron::{CronJob, JOBS, run_and_note},
    ctx::Ctx,
    error::{WorkError, within},
};

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The most that the claim of a tick may take.
const CLAIM_WITHIN: Duration = Duration::from_secs(30);

/// Runs every recurring job at its ticks until `stop`.
pub async fn run(ctx: Arc<Ctx>, stop: CancellationToken) {
    let jobs = JOBS.iter().map(|job| keep_time(&ctx, job, &stop));
    futures::future::join_all(jobs).await;
}

async fn keep_time(ctx: &Ctx, job: &CronJob, stop: &CancellationToken) {
    // The tick of the moment of the start counts as seen: a restart is no reason to run.
    let mut seen = job.tick_before(ctx.clock.now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let tick = job.tick_before(ctx.clock.now());
        if tick == seen {
            continue;
        }
        seen = tick;
        if let Err(error) = claim_and_run(ctx, job, tick).await {
            tracing::warn!(cron.job = job.name, %error, "a tick could not be claimed; the next one does its work");
        }
    }
}

async fn claim_and_run(
    ctx: &Ctx,
    job: &CronJob,
    tick: chrono::DateTime<chrono::Utc>,
) -> Result<(), WorkError> {
    let now = ctx.clock.now();
    let run_id = uuid_v7(now, &*ctx.rng);
    let claim = async {
        let mut tx = ctx.db.begin().await?;
        let ours = insert_tick(&mut tx, run_id, job.name, tick, &ctx.name, now).await?;
        tx.commit().await?;
        Ok(ours)
    };
    if within(CLAIM_WITHIN, claim).await? {
        run_and_note(ctx, job, run_id).await?;
    }
    Ok(())
}
