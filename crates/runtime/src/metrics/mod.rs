//! One registry of metrics a process, and how it is written out for Prometheus.

mod process;

use std::{fmt, sync::Arc, time::Duration};

use futures::future::{BoxFuture, join_all};
use prometheus::{Gauge, Opts, Registry, TextEncoder};
use tokio::time::timeout;
use tracing::warn;

use crate::{
    env::Service,
    version::{COMMIT, VERSION},
};

/// Prometheus gives up after ten seconds; old figures are better than none.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);

/// The content type of [`Exporter::text`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// A registry that already tells which build this is, its memory and its age.
pub fn registry(service: Service) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let options = Opts::new("rolecall_build_info", "Which build this is; always 1.")
        .const_label("service", service.name())
        .const_label("version", VERSION)
        .const_label("commit", COMMIT);
    let build_info = Gauge::with_opts(options)?;
    build_info.set(1.0);
    registry.register(Box::new(build_info))?;
    registry.register(Box::new(process::ProcessCollector::new()?))?;
    Ok(registry)
}

type Refresher = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Writes a registry out, after bringing up to date what is only known by asking.
#[derive(Clone)]
pub struct Exporter {
    registry: Registry,
    refreshers: Vec<Refresher>,
}

impl Exporter {
    /// Writes out `registry` as it is.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            refreshers: Vec::new(),
        }
    }

    /// Runs `refresh` before each scrape, for gauges that count rows or queue entries.
    #[must_use]
    pub fn refresh<F, Fut>(mut self, refresh: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.refreshers.push(Arc::new(move || Box::pin(refresh())));
        self
    }

    /// The metrics in Prometheus' text format.
    pub async fn text(&self) -> Result<String, prometheus::Error> {
        let refreshed = join_all(self.refreshers.iter().map(|refresh| refresh()));
        if timeout(REFRESH_TIMEOUT, refreshed).await.is_err() {
            warn!(
                "metrics are not fresh: counting took longer than {} s",
                REFRESH_TIMEOUT.as_secs()
            );
        }
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("refreshers", &self.refreshers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use prometheus::IntGauge;

    use super::*;

    #[tokio::test]
    async fn every_service_tells_its_build_memory_and_age() {
        let text = Exporter::new(registry(Service::Bot).unwrap())
            .text()
            .await
            .unwrap();
        let build =
            format!(r#"rolecall_build_info{{commit="{COMMIT}",service="bot",version="{VERSION}"}} 1"#);
        assert!(text.contains(&build), "{text}");
        for name in ["process_resident_memory_bytes ", "process_uptime_seconds "] {
            assert!(
                text.lines().any(|line| line.starts_with(name)),
                "{name} is missing: {text}"
            );
        }
    }

    #[tokio::test]
    async fn what_must_be_asked_for_is_fresh_at_each_scrape() {
        let registry = Registry::new();
        let due = IntGauge::new("due_rows", "Rows that are due.").unwrap();
        registry.register(Box::new(due.clone())).unwrap();
        let exporter = Exporter::new(registry).refresh(move || {
            let due = due.clone();
            async move { due.inc() }
        });
        assert!(exporter.text().await.unwrap().contains("due_rows 1"));
        assert!(exporter.text().await.unwrap().contains("due_rows 2"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_that_hangs_does_not_hide_the_other_metrics() {
        let exporter = Exporter::new(registry(Service::Api).unwrap()).refresh(pending);
        assert!(exporter.text().await.unwrap().contains("rolecall_build_info"));
    }
}
