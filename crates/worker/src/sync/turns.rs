//! One read at a time for each subscription: in this process by a lock, over all processes by a mark in
//! Redis. Both only spare reads; what keeps writes right is the version check.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
    time::Duration,
};

use redis::{AsyncCommands, RedisResult, Script};
use rolecall_domain::ids::StripeSubscriptionId;
use rolecall_queue::Link;
use tokio::{sync::OwnedMutexGuard, time::Instant};

/// A reader that died is missed after this.
const READING_FOR: Duration = Duration::from_secs(5);
/// For so long one can tell that somebody has read just before.
const READ_LATELY: Duration = Duration::from_secs(3);
/// How long somebody else's read is waited for: then two read at a time.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often one looks whether it is done, at first and later.
const LOOK: [Duration; 2] = [Duration::from_millis(3), Duration::from_millis(50)];
/// Redis is asked for a hint: it is not waited for.
const ANSWER: Duration = Duration::from_millis(200);

/// What a reader finds: 0 somebody is reading, 1 nobody has lately, 2 somebody has.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = redis.call('GET', KEYS[1])
         if found == 'reading' then return 0 end
         redis.call('SET', KEYS[1], 'reading', 'PX', ARGV[1])
         return found and 2 or 1",
    )
});

/// Turns by subscription, within this process.
#[derive(Debug, Default)]
pub struct Turns {
    subjects: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// A turn over all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nobody has read lately: what was looked up before still holds.
    First,
    /// Somebody has read lately, or nobody can tell.
    AfterOthers,
}

impl Turns {
    /// Waits for the turn of `subject`; it ends when the guard is dropped.
    pub async fn take(&self, subject: &str) -> OwnedMutexGuard<()> {
        self.queue_of(subject).lock_owned().await
    }

    fn queue_of(&self, subject: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut subjects = self.subjects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = subjects.get(subject).and_then(Weak::upgrade) {
            return queue;
        }
        // Subjects that nobody waits for any more; looked through seldom enough to cost nothing.
        if subjects.len() >= 64 && subjects.len().is_power_of_two() {
            subjects.retain(|_, queue| queue.strong_count() > 0);
        }
        let queue = Arc::default();
        subjects.insert(subject.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

/// Waits until no other process reads the subscription, and says so to the others.
pub(super) async fn take(link: &Link, id: &StripeSubscriptionId) -> Turn {
    let begin = Instant::now();
    let mut look = LOOK[0];
    let mut waited = false;
    while begin.elapsed() < PATIENCE {
        match tokio::time::timeout(ANSWER, ask(link, id)).await {
            Ok(Ok(0)) => {
                waited = true;
                tokio::time::sleep(look).await;
                look = (look * 3 / 2).min(LOOK[1]);
            }
            Ok(Ok(1)) if !waited => return Turn::First,
            Ok(Ok(_)) => return Turn::AfterOthers,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Turn::AfterOthers
}

async fn ask(link: &Link, id: &StripeSubscriptionId) -> RedisResult<u8> {
    TAKE.key(key(link, id))
        .arg(millis(READING_FOR))
        .invoke_async(&mut link.clone())
        .await
}

/// Tells the other processes that a read is over.
pub(super) async fn end(link: &Link, id: &StripeSubscriptionId) {
    let mut link = link.clone();
    let key = key(&link, id);
    let told = link.pset_ex::<_, _, ()>(key, "read", millis(READ_LATELY));
    if !matches!(tokio::time::timeout(ANSWER, told).await, Ok(Ok(()))) {
        tracing::debug!(stripe.subscription_id = %id, "the end of a read could not be told; others wait a little longer");
    }
}

fn key(link: &Link, id: &StripeSubscriptionId) -> String {
    format!("{}:reading:{id}", link.namespace())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_second_turn_of_a_subject_waits_and_another_subject_does_not() {
        let turns = Turns::default();
        let first = turns.take("sub_1").await;
        assert!(turns.take("sub_1").now_or_never().is_none());
        assert!(turns.take("sub_2").now_or_never().is_some());
        drop(first);
        assert!(turns.take("sub_1").now_or_never().is_some());
    }

    #[tokio::test]
    async fn finished_subjects_are_forgotten() {
        let turns = Turns::default();
        for n in 0..1000 {
            drop(turns.take(&format!("sub_{n}")).await);
        }
        assert!(turns.subjects.lock().unwrap().len() <= 64);
    }
}
