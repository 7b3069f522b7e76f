//! `role_outcome`: what the bot found and did becomes what is known of a person in a server.

use rolecall_queue::{Attempt, JobError, jobs::RoleOutcome};

use crate::{handlers::SharedCtx, observe};

/// Keeps the outcome.
pub async fn run(ctx: SharedCtx, args: RoleOutcome, _: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let member_id = observe::outcome(&mut tx, &args, ctx.clock.now()).await?;
    tx.commit().await?;
    if let Some(member_id) = member_id {
        ctx.member_changed(member_id).await;
    }
    Ok(())
}
