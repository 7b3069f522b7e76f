//! One named part of a process' health: asked by a probe or told its state.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::time::{Instant, timeout};

use crate::health::PartReport;

/// A few words for whoever looks at `/ready`; never a secret.
pub type Detail = Cow<'static, str>;

/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long its answer is good.
const PROBE_FRESHNESS: Duration = Duration::from_secs(1);

/// What the failure of a part does to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    Required,
    Degrading,
}

pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) importance: Importance,
    pub(crate) source: Source,
}

pub(crate) enum Source {
    Probe(Probe),
    State(PartHandle),
}

pub(crate) struct Probe {
    ask: Box<dyn Fn() -> BoxFuture<'static, Result<Detail, Detail>> + Send + Sync>,
    /// Held while the probe runs, so that those who ask meanwhile share its answer.
    last: tokio::sync::Mutex<Option<(Instant, PartReport)>>,
}

impl Source {
    pub(crate) fn probe<F, Fut>(probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Detail, Detail>> + Send + 'static,
    {
        let ask = Box::new(move || -> BoxFuture<'static, _> { Box::pin(probe()) });
        Self::Probe(Probe {
            ask,
            last: tokio::sync::Mutex::new(None),
        })
    }
}

impl Part {
    pub(crate) async fn report(&self) -> PartReport {
        match &self.source {
            Source::Probe(probe) => probe.report().await,
            Source::State(handle) => handle.report(),
        }
    }
}

impl Probe {
    async fn report(&self) -> PartReport {
        let mut last = self.last.lock().await;
        if let Some((asked_at, report)) = &*last
            && asked_at.elapsed() < PROBE_FRESHNESS
        {
            return report.clone();
        }
        let report = match timeout(PROBE_TIMEOUT, (self.ask)()).await {
            Ok(Ok(detail)) => PartReport::new(true, &detail),
            Ok(Err(detail)) => PartReport::new(false, &detail),
            Err(_) => PartReport::new(false, &format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
        };
        *last = Some((Instant::now(), report.clone()));
        report
    }
}

/// Tells a part its state; clones share it.
#[derive(Clone)]
pub struct PartHandle(Arc<Mutex<PartReport>>);

impl PartHandle {
    /// A part in this state.
    pub fn new(ok: bool, detail: impl Into<Detail>) -> Self {
        Self(Arc::new(Mutex::new(PartReport::new(ok, &detail.into()))))
    }

    /// Puts the part into another state.
    pub fn set(&self, ok: bool, detail: impl Into<Detail>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = PartReport::new(ok, &detail.into());
    }

    fn report(&self) -> PartReport {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for PartHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report().fmt(f)
    }
}
