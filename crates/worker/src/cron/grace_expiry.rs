//! `grace_expiry`: people for whom time alone has changed something are converged.

use rolecall_db::members::list_next_change_due;
use rolecall_domain::trigger::Trigger;

use crate::{converge::converge, ctx::Ctx, error::WorkError};

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
        for member_id in &due {
            let mut tx = ctx.db.begin().await?;
            // Sets the next change after `now`, so the list gets shorter.
            let converged = converge(&mut tx, ctx, *member_id, Trigger::Clock, now).await?;
            tx.commit().await?;
            ctx.tell(converged).await;
        }
        done += due.len();
    }
}
