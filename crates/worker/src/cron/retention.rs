//! `retention`: what nobody needs any more is forgotten.

use chrono::TimeDelta;
use rolecall_db::{
    cron_runs::delete_runs_before, inbox::database_time, inbox_admin::delete_events_before,
    sessions::delete_sessions_before,
};

use crate::{cron::stripe_events_sweep::KEPT_BY_STRIPE, ctx::Ctx, error::WorkError};

/// Runs are kept for as long as somebody may ask what happened on Monday.
const RUNS_KEPT: TimeDelta = TimeDelta::days(8);

/// Sessions that ended are kept for a while, so that a stolen token is still known for one.
const SESSIONS_KEPT: TimeDelta = TimeDelta::days(30);

/// Events that took effect are kept for longer than Stripe lists them: the sweep would take in again what
/// the inbox forgot.
const EVENTS_KEPT: TimeDelta = TimeDelta::days(KEPT_BY_STRIPE.num_days() + 15);

/// At most so many events at a time, in so many rounds: a run ends, and the next one goes on.
const EVENTS_BATCH: i64 = 1_000;
const ROUNDS: usize = 100;

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let runs = delete_runs_before(&mut tx, now - RUNS_KEPT).await?;
    let sessions = delete_sessions_before(&mut tx, now - SESSIONS_KEPT).await?;
    tx.commit().await?;
    let events = forget_events(ctx).await?;
    Ok(format!(
        "{runs} runs, {sessions} sessions and {events} events forgotten"
    ))
}

async fn forget_events(ctx: &Ctx) -> Result<u64, WorkError> {
    let mut forgotten = 0;
    for _ in 0..ROUNDS {
        let mut tx = ctx.db.begin().await?;
        // By the clock that noted when they came in.
        let before = database_time(&mut tx).await? - EVENTS_KEPT;
        let some = delete_events_before(&mut tx, before, EVENTS_BATCH).await?;
        tx.commit().await?;
        if some == 0 {
            break;
        }
        forgotten += some;
    }
    Ok(forgotten)
}
