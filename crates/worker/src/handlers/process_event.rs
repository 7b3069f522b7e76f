//! `process_event`: somebody asks for the effects of a kept event now.

use rolecall_db::inbox::find_seen;
use rolecall_queue::{Attempt, JobError, jobs::ProcessEvent};

use crate::{error::job_error, handlers::SharedCtx, intake::refill::take_up};

/// Takes the event up, unless it is done. How its effects go is then noted in the inbox.
pub async fn run(ctx: SharedCtx, args: ProcessEvent, _: Attempt) -> Result<(), JobError> {
    if take_up(&ctx, &args.event_id).await.map_err(job_error)? {
        ctx.pump.start(&ctx);
        return Ok(());
    }
    let mut tx = ctx.db.begin().await?;
    let seen = find_seen(&mut tx, &args.event_id).await?;
    tx.commit().await?;
    match seen {
        Some(_) => Ok(()),
        None => Err(JobError::cancel(format!(
            "the inbox has no event {}",
            args.event_id
        ))),
    }
}
