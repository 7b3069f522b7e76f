//! `reconcile`: a run that somebody asked for, or that was left, is worked on.

use rolecall_queue::{Attempt, JobError, jobs::Reconcile};

use crate::{error::job_error, handlers::SharedCtx, reconcile::work_on};

/// Works on the run, unless somebody else does.
pub async fn run(ctx: SharedCtx, args: Reconcile, _: Attempt) -> Result<(), JobError> {
    work_on(&ctx, args.run_id).await.map_err(job_error)?;
    Ok(())
}
