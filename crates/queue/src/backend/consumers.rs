//! Leaving in good order, and clearing up after those who could not.

use std::collections::HashMap;

use redis::{RedisResult, Value};

use crate::{
    backend::shared::{GROUP, Shared},
    causes::causes,
    link::is_group_gone,
    scripts,
    time::millis,
};

/// A consumer that has not been heard of for so many times the visibility timeout (an hour, by
/// default) belongs to a process that is gone.
const GONE_AFTER: u32 = 120;
/// How many entries one script call hands back.
const BATCH: usize = 100;

/// Gives entries that were not started to the other workers. If that fails, they get them after
/// the visibility timeout.
pub(crate) async fn hand_back(shared: &Shared, entries: &[&str]) {
    for batch in entries.chunks(BATCH) {
        let mut call = shared.call(&scripts::HAND_BACK, &[shared.keys.stream()]);
        call.arg(batch);
        match shared.run::<usize>(&scripts::HAND_BACK, &call).await {
            Ok(count) => tracing::info!(queue = shared.queue.name(), count, "handed back unstarted jobs"),
            Err(error) if is_group_gone(&error) => {}
            Err(error) => {
                tracing::warn!(
                    error = causes(&error),
                    queue = shared.queue.name(),
                    "could not hand back unstarted jobs"
                );
                return;
            }
        }
    }
}

/// Hands back whatever this consumer still holds and signs it off.
pub(crate) async fn depart(shared: &Shared) -> RedisResult<()> {
    loop {
        let held = held(shared).await?;
        if held.is_empty() {
            break;
        }
        let entries: Vec<&str> = held.iter().map(String::as_str).collect();
        hand_back(shared, &entries).await;
        if held.len() < BATCH {
            break;
        }
    }
    remove(shared, &shared.consumer).await
}

async fn held(shared: &Shared) -> RedisResult<Vec<String>> {
    let mut pending = redis::cmd("XPENDING");
    pending
        .arg(shared.keys.stream())
        .arg(GROUP)
        .arg("-")
        .arg("+")
        .arg(BATCH)
        .arg(&shared.consumer);
    let held: Vec<(String, Value, Value, Value)> = pending.query_async(&mut shared.link.clone()).await?;
    Ok(held.into_iter().map(|(entry, ..)| entry).collect())
}

/// Deletes the consumers of processes that are gone and hold nothing.
pub(crate) async fn remove_idle(shared: &Shared) -> RedisResult<()> {
    let mut list = redis::cmd("XINFO");
    list.arg("CONSUMERS").arg(shared.keys.stream()).arg(GROUP);
    let consumers: Vec<HashMap<String, Value>> = list.query_async(&mut shared.link.clone()).await?;
    let gone_after = millis(shared.options.visibility.saturating_mul(GONE_AFTER));
    for consumer in consumers {
        let idle = consumer.get("idle").and_then(int).unwrap_or(0);
        let Some(Value::BulkString(name)) = consumer.get("name") else {
            continue;
        };
        if idle >= gone_after {
            remove(shared, &String::from_utf8_lossy(name)).await?;
        }
    }
    Ok(())
}

async fn remove(shared: &Shared, consumer: &str) -> RedisResult<()> {
    let mut call = scripts::call(&scripts::DEPART, &[shared.keys.stream()]);
    call.arg(GROUP).arg(consumer);
    shared.run(&scripts::DEPART, &call).await
}

fn int(value: &Value) -> Option<u64> {
    if let Value::Int(int) = value {
        u64::try_from(*int).ok()
    } else {
        None
    }
}
