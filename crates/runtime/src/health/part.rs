//! One named part of a process' health: asked by a probe or told its state.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, SecondsFormat, Utc};
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
    /// What happens, and what is kept, while it is ill.
    pub(crate) meanwhile: Option<&'static str>,
    pub(crate) ill_since: Mutex<Option<DateTime<Utc>>>,
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
    /// Its state; of an ill one also since when, and what is done meanwhile.
    pub(crate) async fn report(&self, now: DateTime<Utc>) -> PartReport {
        let report = match &self.source {
            Source::Probe(probe) => probe.report().await,
            Source::State(handle) => handle.report(),
        };
        match self.note(&report, now) {
            Some(since) => {
                let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
                report.explained(&since, self.meanwhile)
            }
            None => report,
        }
    }

    /// Since when it is ill. The log has one line when that begins and one when it ends.
    fn note(&self, report: &PartReport, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut ill_since = self.ill_since.lock().unwrap_or_else(PoisonError::into_inner);
        let part = self.name;
        if report.ok {
            if ill_since.take().is_some() {
                tracing::info!(part, "well again");
            }
        } else if ill_since.is_none() {
            tracing::warn!(
                part,
                detail = report.detail,
                meanwhile = self.meanwhile,
                "not well"
            );
            *ill_since = Some(now);
        }
        *ill_since
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
