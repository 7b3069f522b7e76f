//! What the queues report: attempts by outcome where they happen, and the state of the queues.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::{
    failing::{Failing, Failures},
    jobs::Policy,
    keys::Queue,
    stats::Stats,
};

/// The kind of a job whose kind is not known: a closed set needs a name for the rest.
const UNKNOWN: &str = "unknown";

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Retryable,
    Snoozed,
    Cancelled,
    Discarded,
    Undecodable,
    UnknownKind,
}

impl Verdict {
    const ALL: [Self; 7] = [
        Self::Completed,
        Self::Retryable,
        Self::Snoozed,
        Self::Cancelled,
        Self::Discarded,
        Self::Undecodable,
        Self::UnknownKind,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retryable => "retryable",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Discarded => "discarded",
            Self::Undecodable => "undecodable",
            Self::UnknownKind => "unknown_kind",
        }
    }
}

/// The metrics of all queues of a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: IntCounterVec,
    seconds: HistogramVec,
    jobs: IntGaugeVec,
    oldest: IntGaugeVec,
    failures: Failures,
}

impl Metrics {
    /// Metrics that show in `registry`.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            attempts: IntCounterVec::new(
                Opts::new(
                    "rolecall_queue_attempts_total",
                    "Attempts to run a job, by how they ended.",
                ),
                &["queue", "kind", "outcome"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "rolecall_queue_attempt_seconds",
                    "How long attempts to run a job took.",
                )
                .buckets(vec![
                    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
                ]),
                &["queue", "kind"],
            )?,
            jobs: IntGaugeVec::new(
                Opts::new("rolecall_queue_jobs", "Jobs in a queue, by state."),
                &["queue", "state"],
            )?,
            oldest: IntGaugeVec::new(
                Opts::new(
                    "rolecall_queue_oldest_age_ms",
                    "How long the oldest job that is due has been waiting.",
                ),
                &["queue"],
            )?,
            failures: Failures::default(),
        };
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.jobs.clone()))?;
        registry.register(Box::new(metrics.oldest.clone()))?;
        Ok(metrics)
    }

    /// Shows all queues as empty, until they are looked at.
    pub fn show_empty(&self) {
        for queue in Queue::ALL {
            self.show(queue, &Stats::default());
        }
    }

    /// Shows the state of a queue.
    pub fn show(&self, queue: Queue, stats: &Stats) {
        for (state, count) in [
            ("available", stats.depth.saturating_sub(stats.pending)),
            ("running", stats.pending),
            ("scheduled", stats.delayed),
            ("discarded", stats.dead),
        ] {
            self.jobs
                .with_label_values(&[queue.name(), state])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let age = i64::try_from(stats.oldest_age.as_millis()).unwrap_or(i64::MAX);
        self.oldest.with_label_values(&[queue.name()]).set(age);
    }

    /// The kinds of jobs none of which has succeeded lately, with the reason.
    pub fn failing(&self) -> Vec<Failing> {
        self.failures.list()
    }

    /// An attempt to run a job of this kind succeeded, or failed because of this.
    pub(crate) fn note(&self, kind: &'static str, failure: Option<&str>) {
        match failure {
            None => self.failures.succeeded(kind),
            Some(reason) => self.failures.failed(kind, reason),
        }
    }

    /// Lets everything that a queue's worker can count start at zero.
    pub(crate) fn start_at_zero(&self, queue: Queue, policies: &[Policy]) {
        let kinds = policies
            .iter()
            .filter(|policy| policy.queues.contains(&queue))
            .map(|policy| policy.kind);
        for kind in kinds.chain([UNKNOWN]) {
            self.seconds.with_label_values(&[queue.name(), kind]);
            for verdict in Verdict::ALL {
                self.attempts
                    .with_label_values(&[queue.name(), kind, verdict.name()])
                    .inc_by(0);
            }
        }
    }

    /// Counts an attempt that was not made.
    pub(crate) fn count(&self, queue: Queue, kind: Option<&'static str>, verdict: Verdict) {
        self.attempts
            .with_label_values(&[queue.name(), kind.unwrap_or(UNKNOWN), verdict.name()])
            .inc();
    }

    /// Counts an attempt and how long it took.
    pub(crate) fn observe(&self, queue: Queue, kind: &'static str, verdict: Verdict, took: Duration) {
        self.count(queue, Some(kind), verdict);
        self.seconds
            .with_label_values(&[queue.name(), kind])
            .observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::POLICIES;

    #[test]
    fn everything_a_worker_counts_starts_at_zero() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.start_at_zero(Queue::Jobs, &POLICIES);

        let families = registry.gather();
        let attempts = families
            .iter()
            .find(|family| family.name() == "rolecall_queue_attempts_total")
            .unwrap();
        let kinds = POLICIES
            .iter()
            .filter(|policy| policy.queues == [Queue::Jobs])
            .count();
        // And one for the unknown ones.
        assert_eq!(attempts.get_metric().len(), (kinds + 1) * Verdict::ALL.len());
        assert!(
            attempts
                .get_metric()
                .iter()
                .all(|metric| metric.get_counter().get_value() < 0.5)
        );
    }
}
