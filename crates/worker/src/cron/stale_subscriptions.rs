//! `stale_subscriptions`: what was not read for long is read again, and so is what should have renewed and of
//! which nothing was heard.

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use rolecall_db::{
    inbox::database_time,
    reconcile_views::{Staleness, list_stale_subscriptions},
};
use rolecall_domain::ids::StripeSubscriptionId;
use rolecall_stripe::error::StripeError;

use crate::{
    ctx::Ctx,
    error::WorkError,
    sync::{Hint, sync_subscription},
};

/// What was read within this needs no other look.
const FRESH: TimeDelta = TimeDelta::days(7);

/// A renewal is heard of within this, or it is asked for. Longer than silence takes to be noticed: a read takes
/// the evidence of it away.
pub(super) const NEWS_WITHIN: TimeDelta = TimeDelta::hours(12);

/// So many at most in one run; the next one goes on.
const BATCH: i64 = 500;

const AT_ONCE: usize = 4;

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let now = ctx.clock.now();
    let stale = Staleness {
        read_before: now - FRESH,
        ended_before: now - NEWS_WITHIN,
        now,
    };
    let mut tx = ctx.db.begin().await?;
    let ids = list_stale_subscriptions(&mut tx, ctx.livemode, &stale, BATCH).await?;
    tx.commit().await?;
    let asked = ids.len();
    let answers: Vec<Result<bool, WorkError>> = stream::iter(ids)
        .map(|id| read(ctx, id))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut unknown = 0;
    for answer in answers {
        unknown += usize::from(!answer?);
    }
    let read = asked - unknown;
    Ok(match unknown {
        0 => format!("{read} subscriptions read again"),
        // Taking something away for it is for a sweep to decide, which counts how much that would be.
        unknown => {
            format!(
                "{read} subscriptions read again, {unknown} unknown at Stripe, which `reconcile` decides about"
            )
        }
    })
}

/// Reads one. Says whether Stripe knows it.
async fn read(ctx: &Ctx, id: StripeSubscriptionId) -> Result<bool, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let seen_at = database_time(&mut tx).await?;
    tx.commit().await?;
    match sync_subscription(ctx, &id, Hint::seen(seen_at)).await {
        Ok(_) => Ok(true),
        Err(WorkError::Stripe(StripeError::NotFound { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}
