//! The jobs that were given up: look at them, give them another chance, or let them go.

use chrono::{DateTime, Utc};
use redis::{RedisError, streams::StreamRangeReply};

use crate::{
    envelope::Envelope,
    keys::{Keys, Queue},
    link::Link,
    scripts,
};

/// How many jobs one step of a walk over all of them reads.
const BATCH: usize = 100;

/// The dead jobs of one queue.
#[derive(Debug, Clone)]
pub struct DeadJobs {
    link: Link,
    keys: Keys,
}

/// A job that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadJob {
    /// Where it lies: what `get`, `redrive` and `remove` take.
    pub entry: String,
    /// The whole job as it travelled.
    pub envelope: String,
    /// Its kind, unless the envelope cannot be read.
    pub kind: Option<String>,
    /// Why it was given up.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub died_at: Option<DateTime<Utc>>,
}

impl DeadJobs {
    /// The dead jobs of `queue`.
    pub fn new(link: &Link, queue: Queue) -> Self {
        Self {
            link: link.clone(),
            keys: Keys::new(link.namespace(), queue),
        }
    }

    /// Up to `limit` jobs, oldest first, after the entry `after`.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadJob>, RedisError> {
        let start = after.map_or_else(|| "-".to_owned(), |entry| format!("({entry}"));
        let mut range = redis::cmd("XRANGE");
        range
            .arg(self.keys.dead())
            .arg(start)
            .arg("+")
            .arg("COUNT")
            .arg(limit);
        self.read(&range).await
    }

    /// One job.
    pub async fn get(&self, entry: &str) -> Result<Option<DeadJob>, RedisError> {
        let mut range = redis::cmd("XRANGE");
        range.arg(self.keys.dead()).arg(entry).arg(entry);
        Ok(self.read(&range).await?.pop())
    }

    /// Gives one job all its attempts again. Whether it was there.
    pub async fn redrive(&self, entry: &str) -> Result<bool, RedisError> {
        let mut call = scripts::call(&scripts::REDRIVE, &[self.keys.dead(), self.keys.stream()]);
        call.arg(entry);
        scripts::run(&self.link, &scripts::REDRIVE, &call).await
    }

    /// Gives every job that is dead now all its attempts again, and tells how many. Those that
    /// die meanwhile stay: it ends, even if every one of them dies again at once.
    pub async fn redrive_all(&self) -> Result<usize, RedisError> {
        let mut last = redis::cmd("XREVRANGE");
        last.arg(self.keys.dead()).arg("+").arg("-").arg("COUNT").arg(1);
        let Some(last) = self.read(&last).await?.pop() else {
            return Ok(0);
        };
        let mut redriven = 0;
        loop {
            let mut range = redis::cmd("XRANGE");
            range
                .arg(self.keys.dead())
                .arg("-")
                .arg(&last.entry)
                .arg("COUNT")
                .arg(BATCH);
            let batch = self.read(&range).await?;
            if batch.is_empty() {
                return Ok(redriven);
            }
            for job in batch {
                redriven += usize::from(self.redrive(&job.entry).await?);
            }
        }
    }

    /// Lets one job go for good. Whether it was there.
    pub async fn remove(&self, entry: &str) -> Result<bool, RedisError> {
        redis::cmd("XDEL")
            .arg(self.keys.dead())
            .arg(entry)
            .query_async(&mut self.link.clone())
            .await
    }

    /// Lets all of them go for good.
    pub async fn purge(&self) -> Result<(), RedisError> {
        redis::cmd("UNLINK")
            .arg(self.keys.dead())
            .query_async(&mut self.link.clone())
            .await
    }

    async fn read(&self, range: &redis::Cmd) -> Result<Vec<DeadJob>, RedisError> {
        let found: StreamRangeReply = range.query_async(&mut self.link.clone()).await?;
        Ok(found.ids.iter().map(DeadJob::new).collect())
    }
}

impl DeadJob {
    fn new(entry: &redis::streams::StreamId) -> Self {
        let envelope: Vec<u8> = entry.get("job").unwrap_or_default();
        let died_at: Option<i64> = entry.get("died_at");
        Self {
            entry: entry.id.clone(),
            kind: Envelope::decode(&envelope)
                .ok()
                .map(|envelope| envelope.kind.into_owned()),
            envelope: String::from_utf8_lossy(&envelope).into_owned(),
            reason: entry.get("reason").unwrap_or_default(),
            attempts: entry.get("spent").unwrap_or_default(),
            died_at: died_at.and_then(DateTime::from_timestamp_millis),
        }
    }
}
