//! Fulfilment of a purchase, by the landing page and by the webhook alike: once in effect.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    checkout_sessions::{Checkout, CheckoutState, find_checkout, set_checkout_state},
    customers::{link_unclaimed, upsert_customer},
    discord_accounts::find_account_of,
    inbox::database_time,
    members::lock_member,
    payments::{PaidFor, lock_paid_for},
    purchases::{PurchaseRead, find_purchase_mark, write_purchase},
    subscriptions::ReadMark,
    trials::{Trial, TrialState, insert_trial},
};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{MemberId, StripeCheckoutSessionId},
    trigger::Trigger,
};
use rolecall_stripe::types::checkout::{CheckoutMode, CheckoutSession, CheckoutStatus};

use crate::{
    converge::{Converged, converge},
    ctx::Ctx,
    error::WorkError,
    sync::{Hint, named_member, sync_subscription},
    timing::HINT_OVERDUE,
    trials,
};

/// The metadata in which our Checkout names what it sells.
pub(crate) const PLAN_METADATA: &str = "rolecall_plan";

/// A write that loses this many times is left for later.
const MOST_READS: usize = 8;

/// Reads a Checkout Session, links its customer to its buyer, and reads what was bought. Returns the
/// buyer, where one is known.
pub async fn fulfill(
    ctx: &Ctx,
    id: &StripeCheckoutSessionId,
    seen_at: DateTime<Utc>,
) -> Result<Option<MemberId>, WorkError> {
    let (session, buyer) = read_and_keep(ctx, id).await?;
    if let Some(subscription) = &session.subscription {
        // Before it is read, so that a second trial gives nothing, not even for a moment.
        trials::settle_or_defer(ctx, subscription).await?;
        let hint = Hint {
            member_id: buyer,
            ..Hint::seen(seen_at)
        };
        sync_subscription(ctx, subscription, hint).await?;
    }
    Ok(buyer)
}

/// Reads the session and keeps what it says.
async fn read_and_keep(
    ctx: &Ctx,
    id: &StripeCheckoutSessionId,
) -> Result<(CheckoutSession, Option<MemberId>), WorkError> {
    for _ in 0..MOST_READS {
        let mut tx = ctx.db.begin().await?;
        let mark = find_purchase_mark(&mut tx, id).await?;
        let read_started_at = database_time(&mut tx).await?;
        tx.commit().await?;
        let session = ctx.stripe.get_checkout_session(id).await?;
        let read = Read {
            session: &session,
            started_at: read_started_at,
            mark,
        };
        if let Some((buyer, converged)) = keep(ctx, read).await? {
            for converged in converged {
                ctx.tell(converged).await;
            }
            return Ok((session, buyer));
        }
    }
    Err(WorkError::Contended(format!("Checkout Session {id}")))
}

/// A read of a session, and the write of its purchase that was there when it began.
#[derive(Clone, Copy)]
struct Read<'a> {
    session: &'a CheckoutSession,
    started_at: DateTime<Utc>,
    mark: Option<ReadMark>,
}

/// Keeps how the purchase stands and whose it is; `None` if another read was faster.
async fn keep(ctx: &Ctx, read: Read<'_>) -> Result<Option<(Option<MemberId>, Vec<Converged>)>, WorkError> {
    let session = read.session;
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    if session.payment_intent.is_some() {
        let paid_for = PaidFor {
            payment_intent: session.payment_intent.clone(),
            ..PaidFor::default()
        };
        lock_paid_for(&mut tx, &paid_for).await?;
    }
    let opened = find_checkout(&mut tx, &session.id).await?;
    let buyer = match &opened {
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
    // The customer before the person, in the order in which a read is written.
    let owner = match &session.customer {
        Some(customer) => upsert_customer(&mut tx, customer, buyer, now).await?,
        None => buyer,
    };
    // Who pays with somebody else's customer is somebody else.
    let people: BTreeSet<MemberId> = buyer.into_iter().chain(owner).collect();
    for member_id in people {
        lock_member(&mut tx, member_id).await?;
    }
    if let Some(opened) = &opened {
        keep_trial(&mut tx, session, opened, now).await?;
    }
    let mut changed: BTreeSet<MemberId> = BTreeSet::new();
    if let Some(purchase) = purchase(&mut tx, ctx, read, opened.as_ref(), buyer.or(owner)).await? {
        if !write_purchase(&mut tx, &purchase, read.mark, now).await? {
            tx.rollback().await?;
            return Ok(None);
        }
        changed.extend(buyer.or(owner));
    }
    if let (Some(owner), Some(customer)) = (owner, &session.customer) {
        changed.extend(link_unclaimed(&mut tx, &[(customer, owner)]).await?);
    }
    let mut converged = Vec::with_capacity(changed.len());
    for member_id in changed {
        converged.push(converge(&mut tx, ctx, member_id, Trigger::Checkout, now).await?);
    }
    tx.commit().await?;
    Ok(Some((buyer, converged)))
}

/// Keeps that the session gave a trial, which is looked at before anything comes of it. Trials that the
/// owner gives in Stripe's dashboard are the owner's to give.
async fn keep_trial(
    conn: &mut Connection,
    session: &CheckoutSession,
    opened: &Checkout,
    now: DateTime<Utc>,
) -> Result<(), WorkError> {
    let Some(subscription) = session.subscription.as_ref().filter(|_| opened.trial_days > 0) else {
        return Ok(());
    };
    let account = find_account_of(conn, opened.member_id).await?;
    let trial = Trial {
        subscription: subscription.clone(),
        plan: opened.plan.clone(),
        member_id: opened.member_id,
        discord_user_id: account.map(|account| account.user_id),
        state: TrialState::Unchecked,
        attempts: 0,
    };
    Ok(insert_trial(conn, &trial, now + HINT_OVERDUE, now).await?)
}

/// What the session sold once; `None` if it sold a subscription, is not done, or sold nothing of ours.
async fn purchase(
    conn: &mut Connection,
    ctx: &Ctx,
    read: Read<'_>,
    opened: Option<&Checkout>,
    buyer: Option<MemberId>,
) -> Result<Option<PurchaseRead>, WorkError> {
    let session = read.session;
    if session.mode != CheckoutMode::Payment || session.status != CheckoutStatus::Complete {
        return Ok(None);
    }
    let named: Option<PlanSlug> = session
        .metadata
        .get(PLAN_METADATA)
        .and_then(|slug| slug.parse().ok());
    let Some(plan) = opened.map(|opened| opened.plan.clone()).or(named) else {
        return Ok(None);
    };
    let catalog = ctx.catalog.load(conn).await?;
    Ok(Some(PurchaseRead {
        id: session.id.clone(),
        customer: session.customer.clone(),
        member_id: buyer,
        plan: catalog.plans.contains_key(&plan).then_some(plan),
        payment_intent: session.payment_intent.clone(),
        paid: session.is_fulfillable(),
        amount: session.amount_total.unwrap_or_default(),
        currency: session.currency.clone().unwrap_or_default(),
        bought_at: session.created.unwrap_or(read.started_at),
        livemode: session.livemode.unwrap_or(ctx.livemode),
        read_started_at: read.started_at,
    }))
}
