//! `fulfill_checkout`: a buyer came back from Stripe's page.

use rolecall_db::inbox::database_time;
use rolecall_domain::trigger::Trigger;
use rolecall_queue::{Attempt, JobError, jobs::FulfillCheckout};

use crate::{checkout::fulfill, converge::converge, error::job_error, handlers::SharedCtx};

/// Reads the session and gives what was bought.
pub async fn run(ctx: SharedCtx, args: FulfillCheckout, _: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let seen_at = database_time(&mut tx).await?;
    tx.commit().await?;
    let Some(buyer) = fulfill(&ctx, &args.session_id, seen_at)
        .await
        .map_err(job_error)?
    else {
        return Ok(());
    };
    // They have just paid and look at the page: they may be added to the server.
    let mut tx = ctx.db.begin().await?;
    let converged = converge(&mut tx, &ctx, buyer, Trigger::Checkout, ctx.clock.now()).await?;
    tx.commit().await?;
    ctx.tell(converged).await;
    Ok(())
}
