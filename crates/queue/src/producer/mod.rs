//! Pushing jobs.

mod error;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use redis::{Cmd, RedisWrite};
use uuid::Uuid;

pub use crate::producer::error::PushError;
use crate::{
    envelope,
    job::Job,
    keys::{Keys, Queue},
    link::Link,
    scripts,
    time::{millis, millis_after},
};

/// A bulk push sends at most this many jobs, or about this many bytes, at a time: other pushes
/// get their turn in between, and a lost connection repeats little.
const BATCH_JOBS: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// Everything about a push that is not the job itself.
#[derive(Debug, Clone)]
pub struct Push {
    /// The time now.
    pub now: DateTime<Utc>,
    /// The id the job shall have.
    pub id: Uuid,
    /// The trace it is pushed in (W3C).
    pub traceparent: Option<String>,
    /// Run it only after this long.
    pub delay: Option<Duration>,
}

impl Push {
    /// A push without trace, to be run at once.
    pub fn new(now: DateTime<Utc>, id: Uuid) -> Self {
        Self {
            now,
            id,
            traceparent: None,
            delay: None,
        }
    }
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The job is in the queue.
    Taken,
    /// A job with the same dedup key was taken before; this one was dropped.
    Duplicate,
}

/// Pushes jobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Producer {
    link: Link,
    /// In the order of [`Queue::ALL`].
    keys: Arc<[Keys; Queue::ALL.len()]>,
}

impl Producer {
    /// A producer over this link.
    pub fn new(link: &Link) -> Self {
        Self {
            link: link.clone(),
            keys: Arc::new(Queue::ALL.map(|queue| Keys::new(link.namespace(), queue))),
        }
    }

    /// Pushes one job. When this returns `Ok`, Redis has it.
    pub async fn push<J: Job>(&self, job: &J, push: Push) -> Result<Pushed, PushError> {
        let (call, _) = self.call(job, &push)?;
        let taken: bool = scripts::run(&self.link, &scripts::PUSH, &call)
            .await
            .map_err(PushError::from)?;
        Ok(Pushed::from_taken(taken))
    }

    /// Pushes many jobs of one kind, a batch at a time. After an error some of them may be in the
    /// queue; pushing all of them again is right.
    pub async fn push_all<J: Job>(
        &self,
        jobs: impl IntoIterator<Item = (J, Push)>,
    ) -> Result<Vec<Pushed>, PushError> {
        let mut pushed = Vec::new();
        let mut batch = Vec::new();
        let mut size = 0;
        for (job, push) in jobs {
            let (call, bytes) = self.call(&job, &push)?;
            batch.push(call);
            size += bytes;
            if batch.len() >= BATCH_JOBS || size >= BATCH_BYTES {
                pushed.extend(self.send(std::mem::take(&mut batch)).await?);
                size = 0;
            }
        }
        if !batch.is_empty() {
            pushed.extend(self.send(batch).await?);
        }
        Ok(pushed)
    }

    async fn send(&self, batch: Vec<Cmd>) -> Result<Vec<Pushed>, PushError> {
        let mut pipeline = redis::pipe();
        // Every time, because inside a pipeline there is no second chance to teach Redis.
        pipeline.load_script(&scripts::PUSH).ignore();
        for call in batch {
            pipeline.add_command(call);
        }
        let taken: Vec<bool> = pipeline
            .query_async(&mut self.link.clone())
            .await
            .map_err(PushError::from)?;
        Ok(taken.into_iter().map(Pushed::from_taken).collect())
    }

    /// The call that pushes `job`, and about how many bytes it has.
    fn call<J: Job>(&self, job: &J, push: &Push) -> Result<(Cmd, usize), PushError> {
        let size = envelope::size_hint(job);
        let due = push
            .delay
            .map(|delay| millis_after(push.now, delay).to_string())
            .unwrap_or_default();
        let keys = self.keys(job.queue());
        let dedup = job.dedup_key().map(|key| keys.dedup(&key));
        let mut call = match &dedup {
            Some(dedup) => {
                scripts::call_with_room(&scripts::PUSH, &[keys.stream(), keys.delayed(), dedup], size)
            }
            None => scripts::call_with_room(&scripts::PUSH, &[keys.stream(), keys.delayed()], size),
        };
        // Straight into the call: for a webhook a buffer of its own would be the largest there is.
        envelope::write(call.writer_for_next_arg(), job, push).map_err(PushError::Encode)?;
        call.arg(due).arg(millis(J::DEDUP_FOR));
        Ok((call, size))
    }

    fn keys(&self, queue: Queue) -> &Keys {
        let [
            stripe_events,
            account_events,
            discord_events,
            now,
            bulk,
            outcomes,
            jobs,
        ] = &*self.keys;
        match queue {
            Queue::StripeEvents => stripe_events,
            Queue::AccountEvents => account_events,
            Queue::DiscordEvents => discord_events,
            Queue::RoleCommandsNow => now,
            Queue::RoleCommandsBulk => bulk,
            Queue::RoleOutcomes => outcomes,
            Queue::Jobs => jobs,
        }
    }
}

impl Pushed {
    fn from_taken(taken: bool) -> Self {
        if taken { Self::Taken } else { Self::Duplicate }
    }
}
