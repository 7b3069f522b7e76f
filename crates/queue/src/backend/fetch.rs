//! Fetching: takes entries over from silent workers, reads new ones, and hands back at the end
//! what was not started.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{RedisResult, Value};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    backend::{
        buffer::Buffer,
        consumers,
        delivery::Delivery,
        entry::{self, Entry},
        reader::Reader,
        shared::Shared,
    },
    backoff::Backoff,
    link::is_group_gone,
    scripts,
    time::millis,
};

/// A read blocks this long at most, so that a connection that died in silence is noticed.
const LONGEST_BLOCK: Duration = Duration::from_secs(5);
/// How often consumers that died are looked for.
const CONSUMERS_EVERY: Duration = Duration::from_mins(10);

/// When the things between reads are next due.
#[derive(Debug)]
struct Due {
    reclaim: Instant,
    consumers: Instant,
}

impl Due {
    /// Nobody's heart could beat for a while: gives everybody the time to show that they live
    /// before anything is taken from them.
    fn spare_the_living(&mut self, shared: &Shared) {
        self.reclaim = Instant::now() + shared.options.visibility;
    }
}

/// Fetches until the worker is told to stop.
pub(crate) async fn run(shared: Arc<Shared>, buffer: Arc<Buffer>) {
    let mut backoff = Backoff::new(&shared.rng);
    let mut due = Due {
        reclaim: Instant::now(),
        consumers: Instant::now(),
    };
    while !shared.stop.is_cancelled() {
        if let Err(error) = session(&shared, &buffer, &mut backoff, &mut due).await {
            if is_group_gone(&error) {
                let queue = shared.queue.name();
                tracing::warn!(queue, "the queue was emptied from outside: starting it anew");
            } else {
                shared.trouble(&error);
                due.spare_the_living(&shared);
            }
            shared.pause(backoff.next()).await;
        }
    }
    let unstarted: Vec<Delivery> = buffer.close().into();
    let entries: Vec<&str> = unstarted
        .iter()
        .map(|delivery| delivery.receipt.entry.as_str())
        .collect();
    consumers::hand_back(&shared, &entries).await;
}

/// Fetches over one connection until it fails or the worker is told to stop.
async fn session(
    shared: &Arc<Shared>,
    buffer: &Buffer,
    backoff: &mut Backoff,
    due: &mut Due,
) -> RedisResult<()> {
    let mut reader = Reader::connect(shared).await?;
    let mut recovered = false;
    while let Some(permits) = free_permits(shared).await {
        let free = permits.num_permits();
        let now = Instant::now();
        if due.consumers <= now {
            consumers::remove_idle(shared).await?;
            due.consumers = now + CONSUMERS_EVERY;
        }
        let mut entries = Vec::new();
        if !recovered {
            entries = recover(shared).await?;
            recovered = true;
        }
        if entries.is_empty() && due.reclaim <= now {
            entries = reclaim(shared, free).await?;
            // Where this many were found there may be more.
            let full = entries.len() >= free;
            due.reclaim = if full {
                now
            } else {
                now + shared.options.visibility / 3
            };
        }
        if entries.is_empty() {
            let block = due.reclaim.saturating_duration_since(now).min(LONGEST_BLOCK);
            entries = reader.read(shared, free, block).await?;
            // Redis, or this process, stood still.
            if now.elapsed() > block + shared.options.visibility / 3 {
                due.spare_the_living(shared);
            }
        }
        backoff.reset();
        shared.recovered();
        accept(shared, buffer, entries, permits);
    }
    Ok(())
}

/// All permits that are free, at least one; `None` when the worker is told to stop.
async fn free_permits(shared: &Shared) -> Option<OwnedSemaphorePermit> {
    let mut permits = tokio::select! {
        biased;
        () = shared.stop.cancelled() => return None,
        first = Arc::clone(&shared.permits).acquire_owned() => first.ok()?,
    };
    // Only this task takes permits, so that those counted are still there.
    let more = u32::try_from(shared.permits.available_permits()).unwrap_or(u32::MAX);
    if let Ok(more) = Arc::clone(&shared.permits).try_acquire_many_owned(more) {
        permits.merge(more);
    }
    Some(permits)
}

/// Takes up again what the connection before this one broke over: Redis counts it as ours, and we never
/// heard of it.
async fn recover(shared: &Shared) -> RedisResult<Vec<Entry>> {
    let mut call = shared.call(&scripts::RECOVER, &[shared.keys.stream()]);
    let held = shared.in_flight.snapshot();
    // What is held, and what a read of every free place brought.
    call.arg(shared.options.most_held() * 2).arg(held);
    Ok(entry::reclaimed(
        shared.run::<Value>(&scripts::RECOVER, &call).await?,
    ))
}

/// Takes over up to `count` entries of workers that have been silent too long.
async fn reclaim(shared: &Shared, count: usize) -> RedisResult<Vec<Entry>> {
    let mut call = shared.call(&scripts::RECLAIM, &[shared.keys.stream()]);
    call.arg(millis(shared.options.visibility)).arg(count);
    let entries = entry::reclaimed(shared.run::<Value>(&scripts::RECLAIM, &call).await?);
    if !entries.is_empty() {
        let (queue, count) = (shared.queue.name(), entries.len());
        tracing::warn!(queue, count, "took over jobs whose worker fell silent");
    }
    Ok(entries)
}

fn accept(shared: &Shared, buffer: &Buffer, entries: Vec<Entry>, mut permits: OwnedSemaphorePermit) {
    for entry in entries {
        // There are never more entries than permits; one without would just stay pending.
        if let Some(permit) = permits.split(1)
            && let Some(delivery) = Delivery::new(entry, &shared.in_flight, permit)
        {
            buffer.push(delivery);
        }
    }
}
