//! `fulfill_checkout`: a buyer came back from Stripe's page.

use rolecall_db::inbox::database_time;
use rolecall_queue::{Attempt, JobError, jobs::FulfillCheckout};

use crate::{checkout::fulfill, error::job_error, handlers::SharedCtx};

/// Reads the session and gives what was bought.
pub async fn run(ctx: SharedCtx, args: FulfillCheckout, _: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let seen_at = database_time(&mut tx).await?;
    tx.commit().await?;
    fulfill(&ctx, &args.session_id, seen_at)
        .await
        .map_err(job_error)?;
    Ok(())
}
