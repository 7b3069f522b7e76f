//! `stripe_event`: an event comes in and is kept. Its effects follow from the inbox.

use rolecall_queue::{Attempt, JobError, jobs::StripeEvent};

use crate::{handlers::SharedCtx, intake::keep::keep};

/// Keeps the event. From then on the inbox is the due row, and this job is done.
pub async fn run(ctx: SharedCtx, args: StripeEvent, attempt: Attempt) -> Result<(), JobError> {
    if args.livemode != ctx.livemode {
        tracing::warn!(stripe.event_id = %args.event_id, "an event of the other mode came through the queue; dropped");
        return Ok(());
    }
    keep(&ctx, args, attempt.traceparent).await?;
    Ok(())
}
