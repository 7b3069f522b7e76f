//! `reconcile`: everything at Stripe is compared with everything that is kept, and mended within the guard.

use chrono::TimeDelta;
use rolecall_db::reconcile_runs::{RunState, delete_reconcile_runs_before};

use crate::{ctx::Ctx, error::WorkError, reconcile};

/// For so long somebody may ask what a run found.
const KEPT: TimeDelta = TimeDelta::days(30);

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let mut tx = ctx.db.begin().await?;
    delete_reconcile_runs_before(&mut tx, ctx.clock.now() - KEPT).await?;
    tx.commit().await?;
    let id = reconcile::request(ctx, "cron").await?;
    let Some(run) = reconcile::work_on(ctx, id).await? else {
        return Ok("another worker has taken the run up".to_owned());
    };
    let words = reconcile::in_words(&run);
    match run.state {
        RunState::Failed => Err(WorkError::Fault(words)),
        _ => Ok(words),
    }
}
