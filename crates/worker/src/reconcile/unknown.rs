//! A subscription that Stripe does not know is over: written as a read is, over the version that was there when
//! Stripe was asked.

use rolecall_db::{
    inbox::database_time,
    members::lock_member,
    reconcile_views::{end_unknown_subscription, find_owner},
    subscriptions::find_read_mark,
};
use rolecall_domain::{ids::StripeSubscriptionId, trigger::Trigger};
use rolecall_stripe::error::StripeError;

use crate::{converge::converge_locked, ctx::Ctx, error::WorkError, sync::MOST_READS};

/// Asks Stripe once more, and ends what it does not know.
pub(super) async fn end(ctx: &Ctx, id: &StripeSubscriptionId) -> Result<(), WorkError> {
    let _turn = ctx.turns.take(id.as_str()).await;
    for _ in 0..MOST_READS {
        let mut tx = ctx.db.begin().await?;
        let mark = find_read_mark(&mut tx, id).await?;
        let read_started_at = database_time(&mut tx).await?;
        tx.commit().await?;
        let Some(mark) = mark else {
            return Ok(());
        };
        match ctx.stripe.get_subscription(id).await {
            Err(StripeError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(WorkError::Contended(format!("subscription {id}"))),
        }
        let now = ctx.clock.now();
        let mut tx = ctx.db.begin().await?;
        // The person before the subscription, in the order of every other convergence.
        let owner = find_owner(&mut tx, id).await?;
        let owed = match owner {
            Some(owner) => lock_member(&mut tx, owner).await?,
            None => None,
        };
        if !end_unknown_subscription(&mut tx, id, mark.version, read_started_at, now).await? {
            tx.rollback().await?;
            continue;
        }
        let converged = match owner.zip(owed) {
            Some(locked) => {
                let catalog = ctx.catalog.load(&mut tx).await?;
                converge_locked(&mut tx, ctx, &catalog, &[locked], Trigger::Subscription, now).await?
            }
            None => Vec::new(),
        };
        tx.commit().await?;
        for converged in converged {
            ctx.tell(converged).await;
        }
        return Ok(());
    }
    Err(WorkError::Contended(format!("subscription {id}")))
}
