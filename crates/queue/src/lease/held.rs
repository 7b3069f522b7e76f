//! Holding a lease: renewing it, and knowing at once when it is lost.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use redis::RedisError;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::lease::Lease;

/// A lease that was taken. Dropping it stops the renewal; it then runs out by itself.
#[derive(Debug)]
pub struct HeldLease {
    lease: Lease,
    fence: u64,
    term: Arc<Term>,
    keeper: AbortOnDropHandle<()>,
}

/// How long the lease may be acted on.
#[derive(Debug)]
struct Term {
    until: Mutex<Instant>,
    lost: CancellationToken,
}

impl HeldLease {
    pub(crate) fn keep(lease: Lease, fence: u64, asked: Instant, tasks: &TaskTracker) -> Self {
        let until = Mutex::new(lease.deadline(asked));
        let term = Arc::new(Term {
            until,
            lost: CancellationToken::new(),
        });
        let keeper = AbortOnDropHandle::new(tasks.spawn(keep(lease.clone(), Arc::clone(&term))));
        Self {
            lease,
            fence,
            term,
            keeper,
        }
    }

    /// Higher than that of every earlier holder.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Whether the lease may be acted on at this very moment. Ask before every act: a process
    /// that was stopped for a while hears it here before its tasks have found out.
    pub fn is_held(&self) -> bool {
        self.term.is_running()
    }

    /// Cancelled when the lease is lost, for good.
    pub fn lost(&self) -> CancellationToken {
        self.term.lost.clone()
    }

    /// Gives the lease up, so that the next one need not wait.
    pub async fn release(self) -> Result<(), RedisError> {
        self.keeper.abort();
        self.term.lost.cancel();
        self.lease.release().await
    }
}

impl Term {
    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_running(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < self.until()
    }

    /// Extends the term, unless it has run out: a lost lease does not come back.
    fn extend(&self, until: Instant) -> bool {
        let mut current = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let running = Instant::now() < *current;
        if running {
            *current = until;
        }
        running
    }
}

/// Renews until the lease is lost.
async fn keep(lease: Lease, term: Arc<Term>) {
    // However this ends, by a fault of ours too, nobody may go on acting on the lease.
    let _lost = term.lost.clone().drop_guard();
    loop {
        let pause = lease.ttl / 3;
        tokio::time::sleep(pause.min(term.until().saturating_duration_since(Instant::now()))).await;
        if !renew(&lease, &term).await {
            tracing::warn!(lease = lease.key, "lease lost");
            return;
        }
    }
}

/// Renews once, trying until the term is over. Whether the lease is still ours.
async fn renew(lease: &Lease, term: &Term) -> bool {
    while term.is_running() {
        let asked = Instant::now();
        let answer = tokio::select! {
            biased;
            () = tokio::time::sleep_until(term.until().into()) => return false,
            answer = lease.renew() => answer,
        };
        match answer {
            Ok(true) => return term.extend(lease.deadline(asked)),
            Ok(false) => return false,
            Err(_) => tokio::time::sleep(lease.ttl / 20).await,
        }
    }
    false
}
