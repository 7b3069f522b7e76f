//! What a piece of work leads to: events are hints that objects changed, and each of them is read again.

use rolecall_db::{
    inbox::{InboxState, find_event},
    inbox_line::set_events_finished,
    invoice_failures::upsert_invoice_failures,
    prices::set_prices_unread,
};
use rolecall_domain::ids::StripeEventId;
use rolecall_queue::jobs::SyncPlans;
use rolecall_stripe::error::StripeError;

use crate::{
    checkout::fulfill,
    confirmation::ask_to_confirm,
    ctx::Ctx,
    error::WorkError,
    intake::{
        line::Work,
        subject::{Subject, first_related_failure},
    },
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
    let resolved = match &work.subject.related {
        Some(related) => Some(resolve(ctx, related, &ids).await?),
        None => None,
    };
    let subject = resolved.as_ref().unwrap_or(&work.subject);
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
        finish(ctx, &ids, subject.catalog).await?;
        if subject.catalog {
            ctx.hint(&SyncPlans {}).await;
        }
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

/// Finds what thin events concern by the object that they name, and keeps when a debt began.
async fn resolve(ctx: &Ctx, related: &str, ids: &[&StripeEventId]) -> Result<Subject, WorkError> {
    let object = match ctx.stripe.get_related(related).await {
        Ok(object) => object,
        Err(error @ StripeError::NotFound { .. }) => {
            tracing::info!(%error, "what an event named is gone");
            return Ok(Subject::default());
        }
        Err(error) => return Err(error.into()),
    };
    let mut subject = Subject::default();
    let mut failures = Vec::new();
    let mut tx = ctx.db.begin().await?;
    for id in ids {
        let Some(event) = find_event(&mut tx, id).await? else {
            continue;
        };
        let concerned = Subject::of_related(&event.kind, &object)
            .map_err(|error| WorkError::Unusable(format!("{related} cannot be read: {error}")))?;
        subject = subject.and(concerned);
        failures
            .extend(first_related_failure(&event.kind, &object).map(|invoice| (invoice, event.occurred_at)));
    }
    if !failures.is_empty() {
        upsert_invoice_failures(&mut tx, &failures).await?;
    }
    tx.commit().await?;
    Ok(subject)
}

/// Ends the events; those that are about prices with it due that all prices are read.
async fn finish(ctx: &Ctx, ids: &[&StripeEventId], prices: bool) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    if prices {
        set_prices_unread(&mut tx).await?;
    }
    set_events_finished(&mut tx, ids, InboxState::Done, ctx.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}
