//! `sync_subscription`: a subscription is read because a sweep or staff asked for it.

use rolecall_db::inbox::database_time;
use rolecall_queue::{Attempt, JobError, jobs::SyncSubscription};

use crate::{
    error::job_error,
    handlers::SharedCtx,
    sync::{Hint, sync_subscription},
};

/// Reads the subscription.
pub async fn run(ctx: SharedCtx, args: SyncSubscription, _: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let seen_at = database_time(&mut tx).await?;
    tx.commit().await?;
    sync_subscription(&ctx, &args.subscription_id, Hint::seen(seen_at))
        .await
        .map_err(job_error)?;
    Ok(())
}
