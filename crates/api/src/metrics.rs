//! The service's metrics. Every label that is known beforehand is there at zero from the start.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::webhook::outcome::Outcome;

const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// The metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    webhooks: [IntCounter; Outcome::ALL.len()],
    pub(crate) streams: IntGauge,
    pub(crate) arriving: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "rolecall_api_http_requests_total",
                "Requests by route and class of status.",
            ),
            &["method", "route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "rolecall_api_http_request_duration_seconds",
                "How long requests took, by route.",
            )
            .buckets(BUCKETS.to_vec()),
            &["route"],
        )?;
        let webhooks = IntCounterVec::new(
            Opts::new(
                "rolecall_api_stripe_webhooks_total",
                "Webhooks from Stripe by what became of them.",
            ),
            &["outcome"],
        )?;
        let streams = IntGauge::new("rolecall_api_live_streams", "Pages that listen for changes.")?;
        let arriving = IntGauge::new(
            "rolecall_api_arriving_bytes",
            "Memory that long webhooks hold while they arrive, in bytes.",
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(webhooks.clone()))?;
        registry.register(Box::new(streams.clone()))?;
        registry.register(Box::new(arriving.clone()))?;
        Ok(Self {
            requests,
            durations,
            webhooks: Outcome::ALL.map(|outcome| webhooks.with_label_values(&[outcome.label()])),
            streams,
            arriving,
        })
    }

    /// Counts a request.
    pub(crate) fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[method, route, class]).inc();
        self.durations
            .with_label_values(&[route])
            .observe(took.as_secs_f64());
    }

    /// Counts a webhook.
    pub(crate) fn webhook(&self, outcome: Outcome) {
        if let Some(counter) = Outcome::ALL
            .iter()
            .position(|known| *known == outcome)
            .and_then(|at| self.webhooks.get(at))
        {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_a_webhook_is_there_at_zero() {
        let registry = Registry::new();
        Metrics::new(&registry).unwrap();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for outcome in Outcome::ALL {
            let line = format!(
                "rolecall_api_stripe_webhooks_total{{outcome=\"{}\"}} 0",
                outcome.label()
            );
            assert!(text.contains(&line), "{line} is missing: {text}");
        }
    }

    #[test]
    fn a_webhook_is_counted_under_its_outcome() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        metrics.webhook(Outcome::TooOld);
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        assert!(
            text.contains("rolecall_api_stripe_webhooks_total{outcome=\"too_old\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("rolecall_api_stripe_webhooks_total{outcome=\"accepted\"} 0"),
            "{text}"
        );
    }
}
