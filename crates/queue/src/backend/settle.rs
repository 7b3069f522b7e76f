//! Telling Redis what became of the jobs, many at a time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use redis::{RedisError, RedisResult};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{
        delivery::Receipt,
        shared::{GROUP, Shared},
    },
    backoff::Backoff,
    causes::causes,
    link::{Trouble, is_group_gone},
    scripts,
    time::millis_after,
};

/// The most outcomes that are settled at a time.
const BATCH: usize = 256;
/// The most of a reason that is kept with a dead job: some errors quote whole answers.
const REASON_BYTES: usize = 2000;
/// Dead jobs that are kept; the oldest are dropped beyond it.
const DEAD_CAP: usize = 10_000;

/// What becomes of a job after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done.
    Completed,
    /// It is run again.
    Again {
        at: DateTime<Utc>,
        spent: u32,
        runs: u32,
    },
    /// It is given up.
    Discarded { reason: String, spent: u32, runs: u32 },
}

/// An outcome and the entry it is about.
#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) receipt: Arc<Receipt>,
    pub(crate) outcome: Outcome,
}

/// Settles until told to finish, and then what is left.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut outcomes: mpsc::Receiver<Settlement>,
    finish: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            received = outcomes.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    return;
                }
                settle(&shared, std::mem::take(&mut batch)).await;
            }
            () = finish.cancelled(), if !outcomes.is_closed() => outcomes.close(),
        }
    }
}

/// Settles all of a batch, however long Redis is away: an outcome is only let go of when Redis
/// has it. Meanwhile the permits of these entries stay taken, so that no more are fetched.
async fn settle(shared: &Shared, mut batch: Vec<Settlement>) {
    let mut backoff = Backoff::new(&shared.rng);
    loop {
        let (unsettled, error) = settle_once(shared, batch).await;
        let Some(error) = error else { return };
        batch = unsettled;
        shared.trouble(&error);
        tokio::time::sleep(backoff.next()).await;
    }
}

/// Those that have to be tried again, and why.
async fn settle_once(shared: &Shared, batch: Vec<Settlement>) -> (Vec<Settlement>, Option<RedisError>) {
    let (completed, others): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .partition(|settlement| settlement.outcome == Outcome::Completed);
    let acked = acknowledge(shared, &completed).await;
    let moved = join_all(others.iter().map(|settlement| put_away(shared, settlement))).await;

    let (mut unsettled, mut last_error) = (Vec::new(), None);
    if let Err(error) = acked
        && worth_another_try(shared, &error)
    {
        unsettled.extend(completed);
        last_error = Some(error);
    }
    for (settlement, answer) in others.into_iter().zip(moved) {
        if let Err(error) = answer
            && worth_another_try(shared, &error)
        {
            unsettled.push(settlement);
            last_error = Some(error);
        }
    }
    (unsettled, last_error)
}

/// A refusal that will not pass must not hold up the line: that entry is delivered again.
fn worth_another_try(shared: &Shared, error: &RedisError) -> bool {
    let passes = Trouble::of(error).passes();
    if !passes && !is_group_gone(error) {
        tracing::error!(
            error = causes(error),
            queue = shared.queue.name(),
            "the outcome of a job could not be stored"
        );
    }
    passes
}

async fn acknowledge(shared: &Shared, completed: &[Settlement]) -> RedisResult<()> {
    if completed.is_empty() {
        return Ok(());
    }
    let entries: Vec<&str> = completed
        .iter()
        .map(|settlement| settlement.receipt.entry.as_str())
        .collect();
    let stream = shared.keys.stream();
    // Deleted first: an entry that is acknowledged and not deleted would stay for ever, while one that
    // is deleted and not acknowledged is forgotten by whoever reclaims it. No transaction, because a
    // full Redis takes none, and could not be worked off.
    let mut pipeline = redis::pipe();
    pipeline.cmd("XDEL").arg(stream).arg(&entries).ignore();
    pipeline.cmd("XACK").arg(stream).arg(GROUP).arg(&entries).ignore();
    pipeline.query_async(&mut shared.link.clone()).await
}

async fn put_away(shared: &Shared, settlement: &Settlement) -> RedisResult<()> {
    let entry = &settlement.receipt.entry;
    let keys = &shared.keys;
    let (script, call) = match &settlement.outcome {
        Outcome::Completed => return Ok(()),
        Outcome::Again { at, spent, runs } => {
            let mut call = shared.call(&scripts::RETRY, &[keys.stream(), keys.delayed()]);
            call.arg(entry)
                .arg(millis_after(*at, Duration::ZERO))
                .arg(spent)
                .arg(runs);
            (&scripts::RETRY, call)
        }
        Outcome::Discarded { reason, spent, runs } => {
            let mut call = shared.call(&scripts::DISCARD, &[keys.stream(), keys.dead()]);
            let now = shared.clock.now().timestamp_millis();
            call.arg(entry)
                .arg(now)
                .arg(spent)
                .arg(runs)
                .arg(shortened(reason))
                .arg(DEAD_CAP);
            (&scripts::DISCARD, call)
        }
    };
    shared.run(script, &call).await
}

fn shortened(reason: &str) -> &str {
    let (kept, _) = reason.split_at(reason.floor_char_boundary(REASON_BYTES));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(
            shortened(&format!("x{}", "ä".repeat(REASON_BYTES))).len(),
            REASON_BYTES - 1
        );
    }
}
