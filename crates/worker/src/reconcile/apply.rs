//! The mending: each finding goes the way of an event about its object, which reads it from Stripe once more.
//!
//! A finding is settled after what it did was committed. Whoever dies in between leaves it open, and the next
//! one finds that a read has covered it.

use chrono::TimeDelta;
use futures::{StreamExt, stream};
use rolecall_db::{
    reconcile_findings::{Finding, FindingState, list_due_findings, settle_finding},
    reconcile_runs::{Figures, RunState, renew_reconcile_claim},
};
use rolecall_domain::{
    ids::{StripeCheckoutSessionId, StripeSubscriptionId},
    trigger::Trigger,
};
use rolecall_stripe::error::StripeError;

use crate::{
    checkout::fulfill,
    converge::converge_now,
    error::{WorkError, in_one_line},
    payments::sync_payment,
    reconcile::{Hands, Work, unknown},
    sync::{Hint, sync_subscription},
};

/// So many findings are taken up at a time.
const BATCH: i64 = 40;

/// So many of them are under way at once: as many as the pool has connections, and one that waits for Stripe.
const AT_ONCE: usize = 4;

/// After so many failures of its own a finding is left.
const MOST_ATTEMPTS: i32 = 5;

/// How long a run rests when Stripe could not answer.
const REST: TimeDelta = TimeDelta::seconds(30);

/// After so many rests a finding is left as well: that is a day.
const MOST_RESTS: i32 = 2_880;

/// Mends what is due, batch by batch.
pub(super) async fn apply(work: Work<'_>, figures: Figures) -> Result<(), WorkError> {
    loop {
        let mut tx = work.ctx.db.begin().await?;
        let hands = work.keep(&mut tx).await?;
        let due = list_due_findings(&mut tx, work.run.id, BATCH).await?;
        tx.commit().await?;
        if hands == Hands::Others {
            return Ok(());
        }
        if due.is_empty() {
            let figures = work.count(figures).await?;
            work.come_to(RunState::Done, &figures, &work.run.hold_reasons, None)
                .await?;
            return Ok(());
        }
        let mended: Vec<Result<Mended, WorkError>> = stream::iter(due)
            .map(|finding| async move { mend(work, &finding).await })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut rests = false;
        for outcome in mended {
            rests |= outcome? == Mended::Later;
        }
        if rests {
            return rest(work).await;
        }
    }
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mended {
    /// It is settled.
    Settled,
    /// It is tried again.
    Later,
}

async fn mend(work: Work<'_>, finding: &Finding) -> Result<Mended, WorkError> {
    let result = converge_object(work, finding).await;
    let (state, error) = match result {
        Ok(()) => (FindingState::Applied, None),
        // A database that is away settles nothing.
        Err(WorkError::Db(error)) if error.is_outage() => return Err(error.into()),
        Err(error) => {
            let most = match &error {
                WorkError::Stripe(error)
                    if error.is_transient() || matches!(error, StripeError::Unauthorized) =>
                {
                    MOST_RESTS
                }
                WorkError::Contended(_) => MOST_ATTEMPTS,
                _ => 0,
            };
            let state = if finding.attempts + 1 < most {
                FindingState::Open
            } else {
                FindingState::Failed
            };
            (state, Some(in_one_line(&error)))
        }
    };
    if let Some(error) = &error {
        tracing::warn!(reconcile.run_id = %work.run.id, reconcile.object = finding.object_id, %error, "a finding could not be mended");
    }
    let now = work.ctx.clock.now();
    let mut tx = work.ctx.db.begin().await?;
    work.keep(&mut tx).await?;
    settle_finding(
        &mut tx,
        work.run.id,
        &finding.object_id,
        state,
        error.as_deref(),
        now,
    )
    .await?;
    tx.commit().await?;
    Ok(if state == FindingState::Open {
        Mended::Later
    } else {
        Mended::Settled
    })
}

/// Reads the object as an event about it would, unless that has happened since it was found.
async fn converge_object(work: Work<'_>, finding: &Finding) -> Result<(), WorkError> {
    if let Ok(session) = finding.object_id.parse::<StripeCheckoutSessionId>() {
        return fulfill(work.ctx, &session, finding.seen_at).await.map(drop);
    }
    if finding.object_id.starts_with("ch_") || finding.object_id.starts_with("py_") {
        return sync_payment(work.ctx, &finding.object_id, finding.seen_at).await;
    }
    let Ok(id) = finding.object_id.parse::<StripeSubscriptionId>() else {
        return Err(WorkError::Fault(format!(
            "{} is nothing that can be read",
            finding.object_id
        )));
    };
    match sync_subscription(work.ctx, &id, Hint::seen(finding.seen_at)).await {
        Ok(_) => {}
        Err(WorkError::Stripe(StripeError::NotFound { .. })) => unknown::end(work.ctx, &id).await?,
        Err(error) => return Err(error),
    }
    // Whose it was no longer has it.
    match finding.member_id {
        Some(former) if finding.other_member_id.is_some() => {
            converge_now(work.ctx, former, Trigger::Subscription).await
        }
        _ => Ok(()),
    }
}

/// Leaves the run to whoever takes it up after a while.
async fn rest(work: Work<'_>) -> Result<(), WorkError> {
    let until = work.ctx.clock.now() + REST;
    let mut tx = work.ctx.db.begin().await?;
    renew_reconcile_claim(&mut tx, work.run.id, work.claim, until).await?;
    tx.commit().await?;
    Ok(())
}
