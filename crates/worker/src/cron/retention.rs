//! `retention`: what nobody needs any more is forgotten.

use chrono::TimeDelta;
use rolecall_db::{cron_runs::delete_runs_before, sessions::delete_sessions_before};

use crate::{ctx::Ctx, error::WorkError};

/// Runs are kept for as long as somebody may ask what happened on Monday.
const RUNS_KEPT: TimeDelta = TimeDelta::days(8);

/// Sessions that ended are kept for a while, so that a stolen token is still known for one.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(30);

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let runs = delete_runs_before(&mut tx, now - RUNS_KEPT).await?;
    let sessions = delete_sessions_before(&mut tx, now - SESSIONS_KEPT).await?;
    tx.commit().await?;
    Ok(format!("{runs} runs and {sessions} sessions forgotten"))
}
