//! The layer between apalis' worker and the handlers: what a run came to goes to the settler.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use apalis_core::{error::BoxDynError, task::Task};
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tower::{Layer, Service};

use crate::backend::{
    delivery::Delivery,
    settle::{Outcome, Settlement},
};

/// Sends outcomes to the settler.
#[derive(Debug, Clone)]
pub(crate) struct SettleLayer(pub(crate) mpsc::Sender<Settlement>);

impl<S> Layer<S> for SettleLayer {
    type Service = SettleService<S>;

    fn layer(&self, inner: S) -> SettleService<S> {
        SettleService {
            inner,
            settlements: self.0.clone(),
        }
    }
}

/// A service whose outcomes are settled.
#[derive(Debug, Clone)]
pub(crate) struct SettleService<S> {
    inner: S,
    settlements: mpsc::Sender<Settlement>,
}

impl<S> Service<Task<Delivery>> for SettleService<S>
where
    S: Service<Task<Delivery>, Response = Outcome>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let receipt = Arc::clone(&task.args.receipt);
        let settlements = self.settlements.clone();
        let run = self.inner.call(task);
        Box::pin(async move {
            // Without an outcome the entry stays pending, and is delivered again.
            let outcome = run.await.map_err(Into::into)?;
            // Never waits: there is room for every permit. Closed only after the last job.
            settlements
                .send(Settlement { receipt, outcome })
                .await
                .map_err(Into::into)
        })
    }
}
