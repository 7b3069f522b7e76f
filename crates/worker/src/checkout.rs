//! Fulfilment of a purchase, by the landing page and by the webhook alike: once in effect.

use chrono::{DateTime, Utc};
use rolecall_db::{
    checkout_sessions::{CheckoutState, find_checkout, set_checkout_state},
    customers::upsert_customer,
    members::lock_member,
    subscriptions::link_customer_subscriptions,
};
use rolecall_domain::{
    ids::{MemberId, StripeCheckoutSessionId},
    trigger::Trigger,
};
use rolecall_stripe::types::checkout::{CheckoutSession, CheckoutStatus};

use crate::{
    converge::{Converged, converge},
    ctx::Ctx,
    error::WorkError,
    sync::{Hint, named_member, sync_subscription},
};

/// Reads a Checkout Session, links its customer to its buyer, and reads what was bought. Returns the
/// buyer, where one is known.
pub async fn fulfill(
    ctx: &Ctx,
    id: &StripeCheckoutSessionId,
    seen_at: DateTime<Utc>,
) -> Result<Option<MemberId>, WorkError> {
    let session = ctx.stripe.get_checkout_session(id).await?;
    let (buyer, converged) = link(ctx, &session).await?;
    ctx.tell(converged).await;
    if let Some(subscription) = &session.subscription {
        let hint = Hint {
            seen_at,
            event: None,
            member_id: buyer,
        };
        sync_subscription(ctx, subscription, hint).await?;
    }
    Ok(buyer)
}

/// Keeps how the purchase stands and whose customer it is.
async fn link(ctx: &Ctx, session: &CheckoutSession) -> Result<(Option<MemberId>, Converged), WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let opened = find_checkout(&mut tx, &session.id).await?;
    let buyer = match opened {
        Some(opened) => Some(opened.member_id),
        // Opened by somebody else in the same account: the reference may still be one of ours.
        None => named_member(&mut tx, session.client_reference_id.as_deref()).await?,
    };
    let state = match session.status {
        CheckoutStatus::Complete => CheckoutState::Complete,
        CheckoutStatus::Expired => CheckoutState::Expired,
        _ => CheckoutState::Open,
    };
    set_checkout_state(&mut tx, &session.id, state, session.subscription.as_ref(), now).await?;
    let mut converged = Converged::default();
    if let (Some(buyer), Some(customer)) = (buyer, &session.customer) {
        // The customer before the person, in the order in which a read is written.
        let linked = upsert_customer(&mut tx, customer, Some(buyer), now).await?;
        lock_member(&mut tx, buyer).await?;
        if linked == Some(buyer) && link_customer_subscriptions(&mut tx, customer, buyer).await? > 0 {
            converged = converge(&mut tx, ctx, buyer, Trigger::Checkout, now).await?;
        }
    }
    tx.commit().await?;
    Ok((buyer, converged))
}
