//! Moving scheduled jobs to the stream when they are due.

use std::{sync::Arc, time::Duration};

use redis::RedisResult;

use crate::{backend::shared::Shared, backoff::Backoff, scripts, time::millis_after};

/// Somebody else may schedule a job at any time: look at least this often.
const EVERY: Duration = Duration::from_millis(100);
/// With more due than there is room for, look again this soon.
const SOON: Duration = Duration::from_millis(10);
/// The most that one script call moves: jobs, and their bytes.
const LIMIT: usize = 200;
const LIMIT_BYTES: usize = 1 << 20;
/// Due jobs wait for room while this many entries are in the stream: fresh ones overtake them.
const HIGH_WATER: usize = 1000;

/// Runs until the worker is told to stop.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&shared.rng);
    loop {
        tokio::select! {
            biased;
            () = shared.stop.cancelled() => return,
            () = a_free_place(&shared) => {}
        }
        let wait = match promote(&shared).await {
            Ok(wait) => {
                backoff.reset();
                wait
            }
            Err(error) => {
                shared.trouble(&error);
                backoff.next()
            }
        };
        if wait.is_zero() {
            tokio::task::yield_now().await;
        } else {
            shared.pause(wait).await;
        }
    }
}

/// Waits until this worker could run one more job. What is due stays where it is until then, or
/// the fresh jobs would have to queue behind all of it.
///
/// Having let go of one since the last time is enough, even if its place was taken at once: a
/// steady stream of fresh jobs must not hold the due ones up for ever.
async fn a_free_place(shared: &Shared) {
    if shared.in_flight.len() >= shared.options.most_held() {
        shared.in_flight.left().await;
    }
}

/// Moves what is due, and tells when to look again.
async fn promote(shared: &Shared) -> RedisResult<Duration> {
    let now = shared.clock.now().timestamp_millis();
    let mut call = scripts::call(&scripts::PROMOTE, &[shared.keys.stream(), shared.keys.delayed()]);
    call.arg(now).arg(LIMIT).arg(HIGH_WATER).arg(LIMIT_BYTES);
    let (moved, next): (usize, String) = shared.run(&scripts::PROMOTE, &call).await?;
    if moved >= LIMIT {
        return Ok(Duration::ZERO);
    }
    let Ok(next) = next.parse::<i64>() else {
        return Ok(EVERY);
    };
    let now = millis_after(shared.clock.now(), Duration::ZERO);
    let until = Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0));
    Ok(until.clamp(SOON, EVERY))
}
