//! `setup_check`: whether Stripe's events find their way to us, whether we know all that Stripe says of
//! subscriptions, and what to do if not.
//!
//! What is wrong is kept until it is mended, where every worker's `/ready` shows it. It is logged when it begins
//! and when it ends, and not in between.

use chrono::TimeDelta;
use rolecall_db::{
    alarms::{Raised, Severity, end_alarm, list_alarms, raise_alarm},
    reconcile_views::find_silence,
    subscriptions::list_other_statuses,
};
use rolecall_domain::subscription::SubscriptionStatus;
use rolecall_stripe::{
    endpoint_check::{EndpointFault, check_endpoint},
    error::StripeError,
};

use crate::{ctx::Ctx, error::WorkError};

/// A renewal makes an event at once. After so long without any something is wrong.
const SILENCE: TimeDelta = TimeDelta::hours(6);

/// The check of silence.
const SILENT: &str = "stripe_silent";
/// That the endpoints cannot be looked at.
const UNREADABLE: &str = "stripe_endpoint_unreadable";

/// The check of what Stripe says of subscriptions.
const UNKNOWN_STATUS: &str = "stripe_unknown_status";

/// Everything that this job looks at.
pub(crate) const CHECKS: [&str; 7] = [
    EndpointFault::NAMES[0],
    EndpointFault::NAMES[1],
    EndpointFault::NAMES[2],
    EndpointFault::NAMES[3],
    SILENT,
    UNREADABLE,
    UNKNOWN_STATUS,
];

/// Something that a check found.
struct Found {
    name: &'static str,
    severity: Severity,
    problem: String,
    fix: String,
}

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    let mut found = Vec::new();
    found.extend(silence(ctx).await?);
    found.extend(unknown_statuses(ctx).await?);
    match ctx.stripe.list_webhook_endpoints().await {
        Ok(endpoints) => {
            let faults = check_endpoint(&endpoints, ctx.public_url.as_deref());
            found.extend(faults.iter().map(|fault| Found {
                name: fault.name(),
                severity: Severity::Alarm,
                problem: fault.problem(),
                fix: fault.fix(),
            }));
        }
        Err(StripeError::Forbidden { .. }) => found.push(Found {
            name: UNREADABLE,
            severity: Severity::Notice,
            problem: "the Stripe key may not list webhook endpoints, so they are not checked".to_owned(),
            fix: "give the restricted key the permission to read webhook endpoints, or look at the endpoint by hand"
                .to_owned(),
        }),
        // Stripe's own trouble shows in `/ready` already, and says nothing of the endpoint.
        Err(error) => {
            settle(ctx, &found, &[SILENT, UNKNOWN_STATUS]).await?;
            return Err(error.into());
        }
    }
    settle(ctx, &found, &CHECKS).await?;
    if found.is_empty() {
        return Ok("nothing is wrong".to_owned());
    }
    let names: Vec<&str> = found.iter().map(|found| found.name).collect();
    Ok(format!("wrong: {}", names.join(", ")))
}

/// Whether no webhook came although there must have been some.
async fn silence(ctx: &Ctx) -> Result<Option<Found>, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let silence = find_silence(&mut tx, ctx.livemode, ctx.clock.now() - SILENCE).await?;
    let known = list_alarms(&mut tx).await?;
    tx.commit().await?;
    let Some(since) = silence.since else {
        return Ok(None);
    };
    let problem = format!(
        "Stripe has sent no event since {}, though there must have been some",
        since.format("%Y-%m-%d %H:%M UTC")
    );
    // A read of what was to be renewed takes the evidence away, but nobody has heard of Stripe for all that.
    let lasts = known
        .iter()
        .any(|alarm| alarm.name == SILENT && alarm.problem == problem);
    let silent = silence.renewals + silence.swept > 0 && since < ctx.clock.now() - SILENCE;
    Ok((silent || lasts).then(|| Found {
        name: SILENT,
        severity: Severity::Alarm,
        problem,
        fix: "look at the webhook endpoint's deliveries in Stripe's dashboard, at its signing secret, and whether \
              the api can be reached from outside"
            .to_owned(),
    }))
}

/// Whether subscriptions have a status that this version does not know.
async fn unknown_statuses(ctx: &Ctx) -> Result<Option<Found>, WorkError> {
    let known = SubscriptionStatus::KNOWN;
    let known: Vec<&str> = known.iter().map(SubscriptionStatus::as_str).collect();
    let mut tx = ctx.db.begin().await?;
    let others = list_other_statuses(&mut tx, &known).await?;
    tx.commit().await?;
    if others.is_empty() {
        return Ok(None);
    }
    let told = others.iter().map(|other| {
        format!(
            "{:?} ({}, the first is {})",
            other.status.as_str(),
            other.count,
            other.first
        )
    });
    Ok(Some(Found {
        name: UNKNOWN_STATUS,
        severity: Severity::Alarm,
        problem: format!(
            "subscriptions have a status that this version does not know: {}",
            told.collect::<Vec<_>>().join(", ")
        ),
        fix: "update Rolecall; until then each of them keeps the standing that it had, whatever is paid"
            .to_owned(),
    }))
}

/// Raises the alarm about statuses without waiting for the next run; the runs tell more, and end it.
pub(crate) async fn look_at_statuses(ctx: &Ctx) {
    let looked = async {
        let mut tx = ctx.db.begin().await?;
        let known = list_alarms(&mut tx).await?;
        tx.commit().await?;
        if known.iter().any(|alarm| alarm.name == UNKNOWN_STATUS) {
            return Ok(());
        }
        let found: Vec<Found> = unknown_statuses(ctx).await?.into_iter().collect();
        settle(ctx, &found, &[UNKNOWN_STATUS]).await
    };
    if let Err(error) = looked.await {
        tracing::warn!(%error, "an alarm could not be raised; the next run does it");
    }
}

/// Begins and ends what of `looked_at` has changed.
async fn settle(ctx: &Ctx, found: &[Found], looked_at: &[&'static str]) -> Result<(), WorkError> {
    let now = ctx.clock.now();
    for name in looked_at {
        let mut tx = ctx.db.begin().await?;
        if let Some(found) = found.iter().find(|found| found.name == *name) {
            let raised = Raised {
                name,
                severity: found.severity,
                problem: &found.problem,
                fix: &found.fix,
            };
            let is_new = raise_alarm(&mut tx, &raised, now).await?;
            tx.commit().await?;
            if is_new {
                begins(found);
            }
            continue;
        }
        let ended = end_alarm(&mut tx, name).await?;
        tx.commit().await?;
        if let Some(began_at) = ended {
            tracing::info!(alarm = name, %began_at, "what was wrong with the set-up at Stripe is mended");
        }
    }
    Ok(())
}

fn begins(found: &Found) {
    match found.severity {
        Severity::Alarm => tracing::error!(
            alarm = found.name,
            problem = found.problem,
            fix = found.fix,
            "something is wrong with the set-up at Stripe"
        ),
        Severity::Notice => tracing::warn!(
            alarm = found.name,
            problem = found.problem,
            fix = found.fix,
            "the set-up at Stripe cannot be looked at"
        ),
    }
}
