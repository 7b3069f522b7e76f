//! What a piece of work leads to: events are hints that objects changed, and each of them is read again.

use rolecall_db::{inbox::InboxState, inbox_line::set_events_finished};
use rolecall_domain::ids::StripeEventId;
use rolecall_queue::jobs::SyncPlans;

use crate::{
    checkout::fulfill,
    confirmation::ask_to_confirm,
    ctx::Ctx,
    error::WorkError,
    intake::line::Work,
    payments::sync_payment,
    sync::{Hint, Synced, sync_subscription},
};

/// Lets events take effect that concern the same. They are done in the transaction of their last effect.
pub(super) async fn take_effect(ctx: &Ctx, work: &Work) -> Result<Synced, WorkError> {
    let ids: Vec<&StripeEventId> = work.events.iter().map(|event| &event.id).collect();
    // What covers the newest one covers them all.
    let Some(seen_at) = work.events.iter().map(|event| event.seen_at).max() else {
        return Ok(Synced::Covered);
    };
    let subject = &work.subject;
    let member_id = match &subject.checkout_session {
        Some(session) => fulfill(ctx, session, seen_at).await?,
        None => None,
    };
    if let Some(charge) = &subject.charge {
        sync_payment(ctx, charge, seen_at).await?;
    }
    if let Some(invoice) = &subject.unconfirmed_invoice {
        ask_to_confirm(ctx, invoice).await?;
    }
    let hint = Hint {
        seen_at,
        must_read: work.events.iter().any(|event| event.dates_debt),
        events: &[],
        member_id,
        known: None,
    };
    let Some((last, others)) = subject.subscriptions.split_last() else {
        if subject.catalog {
            ctx.hint(&SyncPlans {}).await;
        }
        finish(ctx, &ids).await?;
        return Ok(
            if subject.checkout_session.is_some() || subject.charge.is_some() {
                Synced::Read
            } else {
                Synced::Covered
            },
        );
    };
    for subscription in others {
        sync_subscription(ctx, subscription, hint).await?;
    }
    let hint = Hint {
        events: &ids,
        known: work.known.filter(|_| subject.only_subscription().is_some()),
        ..hint
    };
    sync_subscription(ctx, last, hint).await
}

async fn finish(ctx: &Ctx, ids: &[&StripeEventId]) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    set_events_finished(&mut tx, ids, InboxState::Done, ctx.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}
