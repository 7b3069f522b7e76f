//! Hints to the worker. What they hint at is committed already, so a hint that is lost costs time
//! and nothing else: the sweeper finds what is owed.

use rolecall_domain::{
    ids::{MemberId, StripeCheckoutSessionId, StripeEventId, StripeSubscriptionId, uuid_v7},
    trigger::Trigger,
};
use rolecall_queue::{
    Job, Push, PushError,
    jobs::{ConvergeMember, FulfillCheckout, ProcessEvent, Reconcile, SyncPlans, SyncSubscription},
};

use uuid::Uuid;

use crate::{error::ApiError, http::context::Trace, state::State};

/// Asks the worker to look at a person.
pub(crate) async fn converge_member(state: &State, trace: &Trace, member_id: MemberId, trigger: Trigger) {
    let job = ConvergeMember {
        member_id,
        reason: trigger.as_str().to_owned(),
    };
    push(state, trace, &job).await;
}

/// Asks the worker to look at a purchase.
pub(crate) async fn fulfill_checkout(state: &State, trace: &Trace, session_id: StripeCheckoutSessionId) {
    push(
        state,
        trace,
        &FulfillCheckout {
            session_id,
            reason: "returned".to_owned(),
        },
    )
    .await;
}

/// Asks the worker to let an event take effect again.
pub(crate) async fn process_event(state: &State, trace: &Trace, event_id: StripeEventId) {
    push(state, trace, &ProcessEvent { event_id }).await;
}

/// Asks the worker to work on a run.
pub(crate) async fn reconcile(state: &State, trace: &Trace, run_id: Uuid) {
    push(state, trace, &Reconcile { run_id }).await;
}

/// Asks the worker to publish the catalog, and to converge everybody to whom it is owed.
pub(crate) async fn sync_plans(state: &State, trace: &Trace) {
    push(state, trace, &SyncPlans {}).await;
}

/// Tells the worker that a subscription was changed at Stripe, which tells it too.
pub(crate) async fn subscription_changed(
    state: &State,
    trace: &Trace,
    subscription_id: StripeSubscriptionId,
) {
    let job = SyncSubscription {
        subscription_id,
        reason: Trigger::Subscription.as_str().to_owned(),
    };
    push(state, trace, &job).await;
}

/// Asks the worker to read a subscription from Stripe again. Nothing else says that this is wanted, so whoever
/// asked is told if it could not be passed on.
pub(crate) async fn sync_subscription(
    state: &State,
    trace: &Trace,
    subscription_id: StripeSubscriptionId,
) -> Result<(), ApiError> {
    let job = SyncSubscription {
        subscription_id,
        reason: Trigger::Staff.as_str().to_owned(),
    };
    try_push(state, trace, &job).await.map_err(ApiError::Push)
}

async fn try_push<J: Job>(state: &State, trace: &Trace, job: &J) -> Result<(), PushError> {
    let now = state.now();
    let mut push = Push::new(now, uuid_v7(now, &*state.rng));
    push.traceparent = Some(trace.child(&*state.rng));
    state.producer.push(job, push).await.map(drop)
}

async fn push<J: Job>(state: &State, trace: &Trace, job: &J) {
    if let Err(error) = try_push(state, trace, job).await {
        tracing::warn!(
            error = %crate::error::chain(&error),
            job.kind = J::KIND,
            "a hint was not pushed; the sweeper will find what is owed"
        );
    }
}
