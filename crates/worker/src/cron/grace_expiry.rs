//! `grace_expiry`: people for whom time alone has changed something are converged.

use rolecall_db::members::list_next_change_due;
use rolecall_domain::trigger::Trigger;

use crate::{converge::converge_each, ctx::Ctx, error::WorkError};

/// At most so many people at a time; each round is a new list.
const BATCH: i64 = 200;

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let mut done = 0;
    loop {
        let now = ctx.clock.now();
        let mut tx = ctx.db.begin().await?;
        let due = list_next_change_due(&mut tx, now, BATCH).await?;
        tx.commit().await?;
        if due.is_empty() {
            return Ok(format!("{done} people converged"));
        }
        // Sets the next change after `now`, or puts it off, so the list gets shorter.
        done += converge_each(ctx, &due, Trigger::Clock).await?;
    }
}
