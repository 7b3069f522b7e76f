//! `process_event`: the effects of an event that was kept, first or again.

use rolecall_db::inbox::{InboxState, find_event, find_seen, set_event_failed};
use rolecall_queue::{Attempt, JobError, jobs::ProcessEvent};

use crate::{
    ctx::Ctx,
    error::job_error,
    handlers::SharedCtx,
    intake::{Event, take_effect},
    timing::take_up_at,
};

/// Lets a kept event take effect, unless it has.
pub async fn run(ctx: SharedCtx, args: ProcessEvent, attempt: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let seen = find_seen(&mut tx, &args.event_id).await?;
    let event = find_event(&mut tx, &args.event_id).await?;
    tx.commit().await?;
    let (Some(seen), Some(stored)) = (seen, event) else {
        return Err(JobError::cancel(format!(
            "the inbox has no event {}",
            args.event_id
        )));
    };
    if seen.state != InboxState::Pending {
        return Ok(());
    }
    let event = Event {
        id: stored.id,
        kind: stored.kind,
        occurred_at: stored.occurred_at,
        payload: stored.payload,
        seen_at: seen.seen_at,
    };
    process(&ctx, &event, &attempt).await
}

/// Lets an event take effect. A failure is kept with the event, and the last one makes it dead: then it
/// is listed, and staff may replay it.
pub(super) async fn process(ctx: &Ctx, event: &Event, attempt: &Attempt) -> Result<(), JobError> {
    let Err(error) = take_effect(ctx, event).await else {
        return Ok(());
    };
    let failure = job_error(error);
    let dead = attempt.is_last() || matches!(failure, JobError::Cancel(_));
    let retry_at = take_up_at(ctx.clock.now(), attempt.current);
    let noted = async {
        let mut tx = ctx.db.begin().await?;
        set_event_failed(&mut tx, &event.id, &failure.to_string(), dead, retry_at).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::warn!(stripe.event_id = %event.id, %error, "the failure could not be noted with the event");
    }
    Err(failure)
}
