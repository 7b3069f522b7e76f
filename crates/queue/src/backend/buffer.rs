//! Deliveries that wait for a free handler. Unlike a channel it can be emptied from outside, so
//! that a worker that stops can hand them back while long jobs are still running.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures::task::AtomicWaker;

use crate::backend::delivery::Delivery;

/// Deliveries that wait for a free handler: never more than there are permits.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    closed: bool,
}

impl Buffer {
    /// Adds a delivery. Only the one who closes the buffer adds to it, and not after.
    pub(crate) fn push(&self, delivery: Delivery) {
        self.state().waiting.push_back(delivery);
        self.waker.wake();
    }

    /// The next delivery; `None` once closed.
    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        // Registered before looking, or a push in between would go unnoticed.
        self.waker.register(cx.waker());
        let mut state = self.state();
        match state.waiting.pop_front() {
            Some(delivery) => Poll::Ready(Some(delivery)),
            None if state.closed => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Lets nothing more through and returns what has not been taken.
    pub(crate) fn close(&self) -> VecDeque<Delivery> {
        let mut state = self.state();
        state.closed = true;
        let rest = std::mem::take(&mut state.waiting);
        drop(state);
        self.waker.wake();
        rest
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
