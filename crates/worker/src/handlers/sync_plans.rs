//! `sync_plans`: plans were applied, so the catalog is published, people are converged, prices are read.

use rolecall_queue::{Attempt, JobError, jobs::SyncPlans};

use crate::{catalog, cron::due_sweep, error::job_error, handlers::SharedCtx, prices};

/// Brings everything that depends on the catalog up to date.
pub async fn run(ctx: SharedCtx, _: SyncPlans, _: Attempt) -> Result<(), JobError> {
    catalog::publish(&ctx).await?;
    let now = ctx.clock.now();
    due_sweep::converge_due(&ctx, now).await?;
    prices::read_stale(&ctx, now).await.map_err(job_error)?;
    Ok(())
}
