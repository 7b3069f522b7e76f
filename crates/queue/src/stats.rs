//! How full a queue is.

use std::time::Duration;

use chrono::{DateTime, Utc};
use redis::RedisError;

use crate::{
    backend::GROUP,
    keys::{Keys, Queue},
    link::Link,
    scripts,
};

/// The state of a queue at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Jobs that are available or running.
    pub depth: u64,
    /// Those of them that a worker holds.
    pub pending: u64,
    /// Jobs that are scheduled for later.
    pub delayed: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// How long the oldest job that is due has been waiting or running.
    pub oldest_age: Duration,
}

/// Looks at a queue.
pub async fn stats(link: &Link, queue: Queue, now: DateTime<Utc>) -> Result<Stats, RedisError> {
    let keys = Keys::new(link.namespace(), queue);
    let mut call = scripts::call(&scripts::STATS, &[keys.stream(), keys.delayed(), keys.dead()]);
    call.arg(GROUP);
    let (depth, pending, delayed, dead, age, due): (u64, u64, u64, u64, u64, String) =
        scripts::run(link, &scripts::STATS, &call).await?;
    // A due job that nobody promotes waits too.
    let overdue = due
        .parse::<i64>()
        .map_or(0, |due| now.timestamp_millis().saturating_sub(due));
    let oldest = age.max(u64::try_from(overdue).unwrap_or(0));
    Ok(Stats {
        depth,
        pending,
        delayed,
        dead,
        oldest_age: Duration::from_millis(oldest),
    })
}
