//! `stripe_event`: an event comes in, is kept, and its effects follow.

use rolecall_db::inbox::{InboxState, NewInboxEvent, find_seen, insert_event};
use rolecall_queue::{Attempt, JobError, jobs::StripeEvent};

use crate::{
    handlers::{SharedCtx, process_event},
    intake::Event,
    timing::EVENT_OVERDUE,
};

/// Keeps the event and lets it take effect.
pub async fn run(ctx: SharedCtx, args: StripeEvent, attempt: Attempt) -> Result<(), JobError> {
    if args.livemode != ctx.livemode {
        tracing::warn!(stripe.event_id = %args.event_id, "an event of the other mode came through the queue; dropped");
        return Ok(());
    }
    let new = NewInboxEvent {
        id: &args.event_id,
        kind: &args.event_type,
        livemode: args.livemode,
        occurred_at: args.created,
        payload: &args.payload,
        next_attempt_at: ctx.clock.now() + EVENT_OVERDUE,
    };
    let mut tx = ctx.db.begin().await?;
    let seen_at = match insert_event(&mut tx, &new).await? {
        Some(seen_at) => seen_at,
        None => match find_seen(&mut tx, &args.event_id).await? {
            Some(seen) if seen.state == InboxState::Pending => seen.seen_at,
            // Its effects are there, or staff decides about it.
            _ => return Ok(()),
        },
    };
    tx.commit().await?;
    let event = Event {
        id: args.event_id,
        kind: args.event_type,
        occurred_at: args.created,
        payload: args.payload,
        seen_at,
    };
    process_event::process(&ctx, &event, &attempt).await
}
