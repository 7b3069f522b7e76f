//! Recurring jobs: every worker ticks, and whoever inserts the tick's row runs it.
//!
//! A tick that nobody ran is not caught up: each job works off all that is due when it runs.

pub mod due_sweep;
mod grace_expiry;
mod reconcile;
mod retention;
pub(crate) mod setup_check;
mod stale_subscriptions;
mod stripe_events_sweep;
pub mod ticker;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use rolecall_db::cron_runs::finish_run;
use uuid::Uuid;

use crate::{
    ctx::Ctx,
    error::{WorkError, within},
};

/// A recurring job.
pub struct CronJob {
    /// Its name, in the contract and in `rolecall jobs run`.
    pub name: &'static str,
    /// How often it runs; ticks are multiples of this since 1970.
    pub every: TimeDelta,
    run: for<'a> fn(&'a Ctx, Asked) -> BoxFuture<'a, Result<String, WorkError>>,
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    ByClock,
    /// Somebody who wants to be sure.
    ByHand,
}

impl std::fmt::Debug for CronJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CronJob")
            .field("name", &self.name)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

impl CronJob {
    /// The newest tick at or before `now`.
    pub fn tick_before(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let every = self.every.num_seconds().max(1);
        let seconds = now.timestamp();
        DateTime::from_timestamp(seconds - seconds.rem_euclid(every), 0).unwrap_or(now)
    }
}

/// All of them.
pub static JOBS: [CronJob; 7] = [
    CronJob {
        name: "due_sweep",
        every: TimeDelta::seconds(10),
        run: |ctx, _| Box::pin(due_sweep::run(ctx)),
    },
    CronJob {
        name: "grace_expiry",
        every: TimeDelta::seconds(30),
        run: |ctx, _| Box::pin(grace_expiry::run(ctx)),
    },
    CronJob {
        name: "reconcile",
        every: TimeDelta::hours(6),
        run: |ctx, _| Box::pin(reconcile::run(ctx)),
    },
    CronJob {
        name: "retention",
        every: TimeDelta::hours(1),
        run: |ctx, _| Box::pin(retention::run(ctx)),
    },
    CronJob {
        name: "setup_check",
        every: TimeDelta::minutes(15),
        run: |ctx, _| Box::pin(setup_check::run(ctx)),
    },
    CronJob {
        name: "stale_subscriptions",
        every: TimeDelta::hours(1),
        run: |ctx, _| Box::pin(stale_subscriptions::run(ctx)),
    },
    CronJob {
        name: "stripe_events_sweep",
        every: TimeDelta::minutes(5),
        run: |ctx, asked| Box::pin(stripe_events_sweep::run(ctx, asked == Asked::ByHand)),
    },
];

/// The job with this name.
pub fn find(name: &str) -> Option<&'static CronJob> {
    JOBS.iter().find(|job| job.name == name)
}

/// Every name, for people.
pub fn names() -> String {
    JOBS.iter().map(|job| job.name).collect::<Vec<_>>().join(", ")
}

/// What the process lets a job have that runs when it is told to stop: a short one ends by itself.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// The most that a run may take: whoever reads everything that there is at Stripe takes minutes.
const LONGEST: Duration = Duration::from_mins(30);

/// What is noted with a run that its process interrupted.
const INTERRUPTED: &str = "interrupted: its worker was stopped; what it had done is done";

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It came to its end, well or not.
    ByItself,
    /// The process stops. Whatever a job does it does in steps that each stand alone, so it may end anywhere.
    Interrupted,
}

/// Runs a job whose tick was claimed, and notes how it ended. A failure is noted, not passed on: the next
/// tick is the retry.
pub async fn run_and_note(ctx: &Ctx, job: &CronJob, run_id: Uuid) -> Result<(), WorkError> {
    if run(ctx, job, run_id, Asked::ByClock).await? == Ended::Interrupted {
        note(ctx, job, run_id, false, INTERRUPTED).await?;
    }
    Ok(())
}

/// Runs a job that somebody asked for, and notes how it ended, unless it was interrupted: then another
/// worker begins it anew.
pub async fn run_by_hand(ctx: &Ctx, job: &CronJob, run_id: Uuid) -> Result<Ended, WorkError> {
    run(ctx, job, run_id, Asked::ByHand).await
}

async fn run(ctx: &Ctx, job: &CronJob, run_id: Uuid, asked: Asked) -> Result<Ended, WorkError> {
    let result = tokio::select! {
        biased;
        result = within(LONGEST, (job.run)(ctx, asked)) => result,
        () = ctx.time_is_up(LAST_MOMENTS) => {
            tracing::info!(cron.job = job.name, "a recurring job is interrupted, because its worker stops");
            return Ok(Ended::Interrupted);
        }
    };
    match result {
        Ok(outcome) => note(ctx, job, run_id, true, &outcome).await?,
        Err(error) => {
            tracing::error!(cron.job = job.name, %error, "a recurring job failed; its next tick tries again");
            note(ctx, job, run_id, false, &error.to_string()).await?;
        }
    }
    Ok(Ended::ByItself)
}

async fn note(
    ctx: &Ctx,
    job: &CronJob,
    run_id: Uuid,
    succeeded: bool,
    outcome: &str,
) -> Result<(), WorkError> {
    let mut tx = ctx.db.begin().await?;
    let ours = finish_run(&mut tx, run_id, succeeded, outcome, ctx.clock.now()).await?;
    tx.commit().await?;
    if !ours {
        tracing::info!(
            cron.job = job.name,
            "the row of a run is gone: its tick was taken over after the clock was set back"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_ticks_are_multiples_of_the_period() {
        let names: Vec<_> = JOBS.iter().map(|job| job.name).collect();
        assert_eq!(
            names,
            rolecall_queue::jobs::CRON_JOBS,
            "what the command line offers"
        );
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), JOBS.len());
        let now = DateTime::from_timestamp(1_790_000_017, 500_000_000).unwrap();
        for job in &JOBS {
            let tick = job.tick_before(now);
            assert!(tick <= now && now - tick < job.every, "{}", job.name);
            assert_eq!(job.tick_before(tick), tick, "{}", job.name);
        }
    }
}
