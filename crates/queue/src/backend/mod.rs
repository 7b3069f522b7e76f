//! apalis' backend over Redis Streams. Its tasks live through every outage of Redis; none of
//! them ever ends the worker by one.

mod buffer;
mod consumers;
mod delivery;
mod entry;
mod fetch;
mod heartbeat;
mod promote;
mod reader;
mod service;
mod settle;
mod shared;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::mpsc;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::{AbortOnDropHandle, TaskTracker},
};

pub(crate) use crate::backend::{
    delivery::Delivery,
    settle::Outcome,
    shared::{GROUP, Shared},
};
use crate::{
    backend::{buffer::Buffer, service::SettleLayer, settle::Settlement},
    causes::causes,
};

/// When a stopping worker cannot tell Redis what became of its last jobs, it goes after this
/// long; they will be run again.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A task of the backend ended by itself: a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("a task that feeds the worker has ended")]
pub(crate) struct TaskEnded;

/// Feeds a worker from a stream. All its tasks end when it is dropped.
pub(crate) struct Streams {
    shared: Arc<Shared>,
    buffer: Arc<Buffer>,
    settlements: mpsc::Sender<Settlement>,
    /// Fetching and settling, until closing waits for them.
    working: Option<[AbortOnDropHandle<()>; 2]>,
    /// Heartbeat and promotion, which just stop.
    _background: [AbortOnDropHandle<()>; 2],
    /// Tells the settler that no more comes.
    finish: CancellationToken,
    /// Resolves when any of the tasks has ended.
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    closing: Option<BoxFuture<'static, ()>>,
}

impl Streams {
    /// Starts fetching.
    pub(crate) fn start(shared: Shared, tasks: &TaskTracker) -> Self {
        let shared = Arc::new(shared);
        let buffer = Arc::new(Buffer::default());
        let (finish, ended) = (CancellationToken::new(), CancellationToken::new());
        let (settlements, outcomes) = mpsc::channel(shared.options.most_held());
        let spawn = |task: BoxFuture<'static, ()>| {
            let guard = ended.clone().drop_guard();
            AbortOnDropHandle::new(tasks.spawn(async move {
                let _guard = guard;
                task.await;
            }))
        };
        Self {
            working: Some([
                spawn(fetch::run(Arc::clone(&shared), Arc::clone(&buffer)).boxed()),
                spawn(settle::run(Arc::clone(&shared), outcomes, finish.clone()).boxed()),
            ]),
            _background: [
                spawn(heartbeat::run(Arc::clone(&shared)).boxed()),
                spawn(promote::run(Arc::clone(&shared)).boxed()),
            ],
            ended: Box::pin(ended.clone().cancelled_owned()),
            settlements,
            shared,
            buffer,
            finish,
            closing: None,
        }
    }

    /// Waits until the fetcher has handed back what was not started and the settler has told
    /// Redis about the rest, and signs off. Begun when the last job has ended.
    fn close(&mut self) -> BoxFuture<'static, ()> {
        self.shared.stop.cancel();
        let (shared, finish, working) = (Arc::clone(&self.shared), self.finish.clone(), self.working.take());
        async move {
            let queue = shared.queue.name();
            let farewell = async {
                if let Some([fetch, settle]) = working {
                    let fetched = fetch.await;
                    finish.cancel();
                    fetched.and(settle.await).map_err(|_| TaskEnded)?;
                }
                consumers::depart(&shared).await.map_err(|error| {
                    tracing::warn!(error = causes(&error), queue, "could not sign off");
                    TaskEnded
                })
            };
            match tokio::time::timeout(CLOSE_TIMEOUT, farewell).await {
                Ok(Ok(())) => tracing::debug!(queue, "signed off"),
                Ok(Err(TaskEnded)) => {}
                Err(_) => tracing::warn!(queue, "Redis was not told of the last outcomes in time"),
            }
        }
        .boxed()
    }
}

impl Backend for Streams {
    type Task = Task<Delivery>;
    type Error = TaskEnded;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), TaskEnded>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Delivery>, TaskEnded>>> {
        if let Poll::Ready(delivery) = self.buffer.poll_next(cx) {
            return Poll::Ready(delivery.map(|delivery| Ok(task(delivery))));
        }
        // When told to stop the tasks end rightly, and the closed buffer ends the stream.
        if self.shared.stop.is_cancelled() {
            return Poll::Pending;
        }
        self.ended.as_mut().poll(cx).map(|()| Some(Err(TaskEnded)))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), TaskEnded>> {
        if self.closing.is_none() {
            self.closing = Some(self.close());
        }
        self.closing
            .as_mut()
            .map_or(Poll::Ready(()), |closing| closing.poll_unpin(cx))
            .map(Ok)
    }
}

fn task(delivery: Delivery) -> Task<Delivery> {
    let id = TaskId::from_string(delivery.receipt.entry.clone());
    TaskBuilder::new(delivery).task_id(id).build()
}

impl BackendConfig for Streams {
    type Args = Delivery;
    type Id = String;
    type Kind = Ephemeral;
    type Config = Shared;
    type Layer = SettleLayer;

    fn config(&self) -> &Shared {
        &self.shared
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> SettleLayer {
        SettleLayer(self.settlements.clone())
    }
}
