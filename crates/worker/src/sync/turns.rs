//! One at a time for each subject, within this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::OwnedMutexGuard;

/// Turns by subject. Other processes take their own; what keeps writes right is the version check.
#[derive(Debug, Default)]
pub struct Turns {
    subjects: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
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
