//! Running one delivery: from its bytes to what becomes of the job.

use std::{any::Any, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use rolecall_domain::clock::{Clock, Rng};
use tracing::{Instrument, Span, field};

use crate::{
    attempt::{Attempt, JobError},
    backend::{Delivery, Outcome},
    causes::causes,
    envelope::Envelope,
    jobs::Policy,
    keys::Queue,
    metrics::{Metrics, Verdict},
    registry::{Registry, Run},
    retry::{RetrySchedule, with_jitter},
    trace,
};

/// Runs deliveries of one queue.
pub(crate) struct Runner<C> {
    pub(crate) queue: Queue,
    pub(crate) registry: Arc<Registry<C>>,
    pub(crate) context: Arc<C>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) schedule: RetrySchedule,
    pub(crate) metrics: Metrics,
}

/// A delivery that can be run.
struct Ready {
    policy: Policy,
    attempt: Attempt,
    run: Run,
}

/// Why a delivery cannot be run.
struct Unfit {
    kind: Option<&'static str>,
    verdict: Verdict,
    reason: String,
}

impl<C: Send + Sync + 'static> Runner<C> {
    /// Runs a delivery and decides what becomes of its job.
    pub(crate) async fn run(&self, delivery: &Delivery) -> Outcome {
        match self.prepare(delivery) {
            Ok(ready) => {
                let span = span(self.queue, &ready);
                self.attempt(delivery, ready).instrument(span).await
            }
            Err(Unfit {
                kind,
                verdict,
                reason,
            }) => {
                let (queue, entry) = (self.queue.name(), &delivery.receipt.entry);
                tracing::error!(
                    queue,
                    entry,
                    job.kind = kind,
                    reason,
                    "discarded a job without running it"
                );
                self.metrics.count(self.queue, kind, verdict);
                // This run was none: another kind of worker may do better with it.
                let (spent, runs) = (
                    delivery.attempt.saturating_sub(1),
                    delivery.runs.saturating_sub(1),
                );
                Outcome::Discarded { reason, spent, runs }
            }
        }
    }

    fn prepare(&self, delivery: &Delivery) -> Result<Ready, Unfit> {
        let undecodable = |kind, reason| Unfit {
            kind,
            verdict: Verdict::Undecodable,
            reason,
        };
        let envelope = Envelope::decode(&delivery.job).map_err(|error| undecodable(None, causes(&error)))?;
        let handler = self.registry.find(&envelope.kind).ok_or_else(|| Unfit {
            kind: None,
            verdict: Verdict::UnknownKind,
            reason: format!("no handler for kind {:?}", envelope.kind),
        })?;
        let policy = handler.policy;
        if delivery.attempt > policy.max_attempts {
            return Err(Unfit {
                kind: Some(policy.kind),
                verdict: Verdict::Discarded,
                reason: format!("the worker died in attempt {} and before", policy.max_attempts),
            });
        }
        let attempt = Attempt {
            current: delivery.attempt,
            max: policy.max_attempts,
            job_id: envelope.id,
            enqueued_at: envelope.enqueued_at,
            redelivered: delivery.runs > 1,
            traceparent: envelope.traceparent,
        };
        let run =
            (handler.start)(Arc::clone(&self.context), envelope.args, attempt.clone()).map_err(|error| {
                undecodable(
                    Some(policy.kind),
                    format!("the arguments cannot be read: {error}"),
                )
            })?;
        Ok(Ready { policy, attempt, run })
    }

    async fn attempt(&self, delivery: &Delivery, ready: Ready) -> Outcome {
        let Ready { policy, attempt, run } = ready;
        let started = Instant::now();
        let run = trace::within(attempt.traceparent.clone(), run);
        let result = match tokio::time::timeout(policy.timeout, run).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(JobError::retry(format!("panicked: {}", panic_message(&*panic)))),
            Err(_) => Err(JobError::retry(format!("timed out after {:?}", policy.timeout))),
        };
        let (verdict, outcome) = self.judge(policy.kind, &attempt, delivery, result);
        self.metrics
            .observe(self.queue, policy.kind, verdict, started.elapsed());
        outcome
    }

    fn judge(
        &self,
        kind: &'static str,
        attempt: &Attempt,
        delivery: &Delivery,
        result: Result<(), JobError>,
    ) -> (Verdict, Outcome) {
        let (spent, runs) = (delivery.attempt, delivery.runs);
        let (wait, cause) = match result {
            Ok(()) => {
                tracing::debug!("job completed");
                self.metrics.note(kind, None);
                return (Verdict::Completed, Outcome::Completed);
            }
            Err(JobError::Snooze(wait)) => {
                tracing::debug!(?wait, "job snoozed");
                let at = self.after(wait);
                return (
                    Verdict::Snoozed,
                    Outcome::Again {
                        at,
                        spent: spent.saturating_sub(1),
                        runs,
                    },
                );
            }
            Err(JobError::Cancel(cause)) => {
                let reason = causes(&*cause);
                tracing::error!(reason, "job cancelled");
                return (Verdict::Cancelled, Outcome::Discarded { reason, spent, runs });
            }
            Err(JobError::Retry(cause)) => (self.schedule.wait(attempt.current, &*self.rng), cause),
            Err(JobError::RetryAfter(wait, cause)) => (with_jitter(wait, &*self.rng), cause),
        };
        let reason = causes(&*cause);
        self.metrics.note(kind, Some(&reason));
        if attempt.is_last() {
            tracing::error!(reason, "job discarded after its last attempt");
            return (Verdict::Discarded, Outcome::Discarded { reason, spent, runs });
        }
        tracing::warn!(reason, ?wait, "job will be retried");
        (
            Verdict::Retryable,
            Outcome::Again {
                at: self.after(wait),
                spent,
                runs,
            },
        )
    }

    fn after(&self, wait: std::time::Duration) -> DateTime<Utc> {
        let now = self.clock.now();
        chrono::TimeDelta::from_std(wait)
            .ok()
            .and_then(|wait| now.checked_add_signed(wait))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

fn span(queue: Queue, ready: &Ready) -> Span {
    let span = tracing::info_span!(
        "job.run",
        queue = queue.name(),
        job.kind = ready.policy.kind,
        job.id = %ready.attempt.job_id,
        job.attempt = ready.attempt.current,
        trace.id = field::Empty,
    );
    if let Some(trace) = ready.attempt.traceparent.as_deref().and_then(trace_id) {
        span.record("trace.id", trace);
    }
    span
}

/// The trace in a W3C traceparent: version-trace-parent-flags.
fn trace_id(traceparent: &str) -> Option<&str> {
    traceparent.split('-').nth(1)
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_the_second_part_of_a_traceparent() {
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(trace_id(traceparent), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(trace_id("nonsense"), None);
    }

    #[test]
    fn a_panic_is_told_by_its_message() {
        let texts: [Box<dyn Any + Send>; 3] = [Box::new("text"), Box::new("text".to_owned()), Box::new(1)];
        let told = texts.each_ref().map(|panic| panic_message(&**panic).to_owned());
        assert_eq!(told, ["text", "text", "without a message"]);
    }
}
