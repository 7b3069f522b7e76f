//! The lookout: while events come in faster than they are kept, the newest of them are kept first.
//!
//! Somebody who has just paid is among those, behind thousands of events of others. Redis gives a queue out
//! from its old end only, so the new end is looked at without being taken: when its turn comes, the inbox has
//! the event, and it is nothing new.

use std::{sync::Arc, time::Duration};

use rolecall_queue::{Queue, RedisError, jobs::StripeEvent, newest};
use tokio_util::sync::CancellationToken;

use crate::{
    ctx::Ctx,
    intake::keep::{Place, keep_all},
};

/// So often the new end of the queue is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// So many events are kept out of turn at a time.
const NEWEST: usize = 32;

/// Looks out until `stop`.
pub(super) async fn run(ctx: &Arc<Ctx>, stop: &CancellationToken) {
    let mut last = None;
    let looking = async {
        loop {
            ctx.keeper.crowded.notified().await;
            if let Err(error) = look(ctx, &mut last).await {
                tracing::debug!(%error, "the new end of the queue could not be looked at; its events come in turn");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    stop.run_until_cancelled(looking).await;
}

/// Keeps what came since `last`, or the newest of it.
async fn look(ctx: &Arc<Ctx>, last: &mut Option<String>) -> Result<(), RedisError> {
    let seen = newest::<StripeEvent>(&ctx.link, Queue::StripeEvents, last.as_deref(), NEWEST).await?;
    if let Some(newest) = seen.first() {
        *last = Some(newest.entry.clone());
    }
    let events = seen
        .into_iter()
        .filter_map(|seen| Some((seen.job?, seen.traceparent)))
        .filter(|(event, _)| event.livemode == ctx.livemode);
    // Those that cannot be kept now come again in their turn.
    keep_all(ctx, events, Place::Front).await;
    Ok(())
}
