//! Acting only while the lease is held.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use rolecall_queue::lease::HeldLease;

/// The lease was lost: somebody else may be acting already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost")]
pub(crate) struct LeaseLost;

/// The lease, as those who act see it.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    held: Arc<HeldLease>,
}

impl Guard {
    pub(crate) fn new(held: &Arc<HeldLease>) -> Self {
        Self {
            held: Arc::clone(held),
        }
    }

    /// The fencing token.
    pub(crate) fn fence(&self) -> u64 {
        self.held.fence()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held.is_held()
    }

    /// Runs `act`, but takes no step of it without the lease.
    ///
    /// Looking once before a call is not enough: it may wait for minutes at the limiter, and the process may be
    /// stopped meanwhile. Here every step looks first, so also the one in which the request goes out.
    pub(crate) async fn run<F: Future>(&self, act: F) -> Result<F::Output, LeaseLost> {
        let mut act = pin!(act);
        poll_fn(|cx| {
            if self.is_held() {
                act.as_mut().poll(cx).map(Ok)
            } else {
                Poll::Ready(Err(LeaseLost))
            }
        })
        .await
    }
}
