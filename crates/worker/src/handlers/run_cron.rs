//! `run_cron`: a recurring job is run because staff asked for it.

use std::time::Duration;

use rolecall_db::cron_runs::start_manual_run;
use rolecall_queue::{Attempt, JobError, jobs::RunCron};

use crate::{
    cron::{self, Ended},
    handlers::SharedCtx,
};

/// After so long another worker takes up what this one was stopped in.
const FOR_ANOTHER: Duration = Duration::from_secs(1);

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
        let ended = cron::run_by_hand(&ctx, job, args.run_id).await?;
        if ended == Ended::Interrupted {
            return Err(JobError::Snooze(FOR_ANOTHER));
        }
    }
    Ok(())
}
