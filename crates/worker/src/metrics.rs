//! What the worker counts, declared in one place.

use prometheus::{IntCounter, Registry};

/// The worker's own counters; those of jobs and queues are the queue's.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Reads of subscriptions from Stripe.
    pub subscription_reads: IntCounter,
    /// Hints that needed no read of their own.
    pub covered_hints: IntCounter,
}

impl Metrics {
    /// Registers the counters, at zero.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        Ok(Self {
            subscription_reads: counter(
                "rolecall_worker_subscription_reads_total",
                "Reads of subscriptions from Stripe",
            )?,
            covered_hints: counter(
                "rolecall_worker_covered_hints_total",
                "Hints that an earlier read had covered already",
            )?,
        })
    }
}
