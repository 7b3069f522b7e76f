//! One trial of a plan for each person, Discord account and card. Which card it is shows only after the
//! purchase: a second trial is ended then, and the first payment is made at once.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::trials::{
    Holder, Trial, TrialState, defer_trial, find_trial, list_due_trials, set_trial_state, use_trial,
};
use rolecall_domain::{ids::StripeSubscriptionId, trigger::Trigger};
use rolecall_queue::jobs::{SendNotification, SyncSubscription};
use rolecall_stripe::{error::StripeError, types::trial::TrialSubscription};

use crate::{
    converge::messages::owe_end_of_trial,
    ctx::Ctx,
    error::{WorkError, in_one_line},
    mail::MessageArgs,
    timing::send_again_at,
};

/// At most so many are looked at in one run of the sweep; the next run goes on.
const BATCH: i64 = 100;

/// How long a trial is left alone where Stripe has not answered what it was asked.
const UNANSWERED: TimeDelta = TimeDelta::minutes(5);

/// Looks at a trial that begins. What goes wrong with Stripe does not hold up the purchase: the sweep
/// comes back to it.
pub async fn settle_or_defer(ctx: &Ctx, id: &StripeSubscriptionId) -> Result<(), WorkError> {
    look(ctx, id).await.map(drop)
}

/// Looks at every trial that somebody should have looked at by `now`. Returns how many were settled.
pub async fn settle_due(ctx: &Ctx, now: DateTime<Utc>) -> Result<usize, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let due = list_due_trials(&mut tx, now, BATCH).await?;
    tx.commit().await?;
    let mut done = 0;
    for id in &due {
        done += usize::from(look(ctx, id).await?);
    }
    Ok(done)
}

/// Settles a trial, and says whether nothing is left to do.
async fn look(ctx: &Ctx, id: &StripeSubscriptionId) -> Result<bool, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let found = find_trial(&mut tx, id).await?;
    tx.commit().await?;
    let Some(trial) = found.filter(|trial| trial.state.is_due()) else {
        return Ok(true);
    };
    match settle(ctx, &trial).await {
        Err(WorkError::Stripe(error)) => defer(ctx, &trial, &error).await.map(|()| false),
        settled => settled.map(|()| true),
    }
}

/// Finds out whether a trial is the first one, and ends it if not. Every step is kept before the next, so
/// that it goes on where it broke off.
async fn settle(ctx: &Ctx, trial: &Trial) -> Result<(), WorkError> {
    let id = &trial.subscription;
    let seen = match ctx.stripe.get_trial(id).await {
        Ok(seen) => Some(seen),
        Err(StripeError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if trial.state == TrialState::Unchecked && judge(ctx, trial, seen.as_ref()).await? {
        return Ok(());
    }
    // Whoever was faster, here or in Stripe's dashboard, has ended it already.
    if seen.as_ref().is_some_and(TrialSubscription::is_running) {
        ctx.stripe.end_trial(id, trial.attempts).await?;
    }
    let lives = seen.is_some_and(|seen| !seen.is_over());
    end(ctx, trial, lives).await
}

/// Keeps who uses the trial, and says whether it is the first one of all of them. One that was over before
/// somebody looked counts, too.
async fn judge(ctx: &Ctx, trial: &Trial, seen: Option<&TrialSubscription>) -> Result<bool, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let mut is_first = true;
    for holder in holders(trial, seen) {
        is_first &= use_trial(&mut tx, &trial.plan, &holder, &trial.subscription, now).await?;
    }
    let state = if is_first {
        TrialState::Kept
    } else {
        TrialState::Refused
    };
    set_trial_state(&mut tx, &trial.subscription, state, now).await?;
    tx.commit().await?;
    Ok(is_first)
}

/// Everybody who uses the trial, always in the same order, so that two at a time wait for each other.
fn holders(trial: &Trial, seen: Option<&TrialSubscription>) -> Vec<Holder> {
    let card = seen.and_then(TrialSubscription::fingerprint);
    std::iter::once(Holder::Member(trial.member_id))
        .chain(trial.discord_user_id.map(Holder::Discord))
        .chain(card.map(|fingerprint| Holder::Card(fingerprint.to_owned())))
        .collect()
}

/// Keeps that a trial has ended before its time, and tells the person if their subscription lives on. What
/// follows for their access comes by the ordinary way.
async fn end(ctx: &Ctx, trial: &Trial, lives: bool) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    set_trial_state(&mut tx, &trial.subscription, TrialState::Ended, ctx.clock.now()).await?;
    let mut owed = Vec::new();
    if lives {
        let catalog = ctx.catalog.load(&mut tx).await?;
        let plan = catalog.plans.get(&trial.plan);
        let args = MessageArgs {
            subscription: Some(trial.subscription.to_string()),
            plan: plan.map(|plan| plan.name.clone()),
            ..MessageArgs::default()
        };
        owed = owe_end_of_trial(&mut tx, ctx, trial.member_id, &trial.subscription, &args).await?;
    }
    tx.commit().await?;
    tracing::info!(
        stripe.subscription_id = %trial.subscription, member.id = %trial.member_id, plan.slug = %trial.plan,
        "a trial was ended at once: its account or its card has had one of this plan"
    );
    for notification_id in owed {
        ctx.hint(&SendNotification { notification_id }).await;
    }
    ctx.hint(&SyncSubscription {
        subscription_id: trial.subscription.clone(),
        reason: Trigger::Subscription.as_str().to_owned(),
    })
    .await;
    Ok(())
}

/// Leaves a trial for later. What Stripe has refused or failed at it is asked anew. Where it has not said, the
/// trial may have ended: it is asked under the same key then, and so that is no attempt.
async fn defer(ctx: &Ctx, trial: &Trial, error: &StripeError) -> Result<(), WorkError> {
    let now = ctx.clock.now();
    let (attempts, due_at) = if error.is_saved() {
        let attempts = trial.attempts.saturating_add(1);
        (attempts, send_again_at(now, attempts))
    } else {
        (trial.attempts, now + UNANSWERED)
    };
    let id = &trial.subscription;
    let error = in_one_line(error);
    let mut tx = ctx.db.begin().await?;
    defer_trial(&mut tx, id, attempts, due_at, &error).await?;
    tx.commit().await?;
    tracing::warn!(
        stripe.subscription_id = %id, error,
        "it could not be seen whether a trial is the first one, or it could not be ended; tried again later"
    );
    Ok(())
}
