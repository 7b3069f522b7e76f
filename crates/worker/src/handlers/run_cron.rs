//! `run_cron`: a recurring job is run because staff asked for it.

use rolecall_db::cron_runs::start_manual_run;
use rolecall_queue::{Attempt, JobError, jobs::RunCron};

use crate::{cron, handlers::SharedCtx};

/// Runs the job once for this request.
pub async fn run(ctx: SharedCtx, args: RunCron, _: Attempt) -> Result<(), JobError> {
    let Some(job) = cron::find(&args.job) else {
        return Err(JobError::cancel(format!(
            "there is no cron job {:?}; there are {}",
            args.job,
            cron::names()
        )));
    };
    let mut tx = ctx.db.begin().await?;
    let started = start_manual_run(&mut tx, args.run_id, &ctx.name, ctx.clock.now()).await?;
    tx.commit().await?;
    if started {
        cron::run_and_note(&ctx, job, args.run_id).await?;
    }
    Ok(())
}
