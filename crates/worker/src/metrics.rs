//! What the worker counts, declared in one place.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use rolecall_db::{
    alarms::{Alarm, Severity},
    due::DueRows,
    inbox_line::Backlog,
    reconcile_runs::RunState,
};

use crate::{cron::setup_check::CHECKS, sync::Synced};

/// The worker's own counters; those of jobs and queues are the queue's.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Reads of subscriptions from Stripe.
    pub subscription_reads: IntCounter,
    /// Hints that needed no read of their own.
    pub covered_hints: IntCounter,
    /// Events that no webhook had brought, and that the sweep found in Stripe's list.
    pub swept_events: IntCounter,
    /// Reads that wait for a connection to Postgres to be written on.
    pub unwritten_reads: IntGauge,
    events: IntCounterVec,
    inbox_pending: IntGauge,
    inbox_dead: IntGauge,
    inbox_oldest_age: IntGauge,
    due: IntGaugeVec,
    runs: IntCounterVec,
    alarms: IntGaugeVec,
}

/// What becomes of events.
const OUTCOMES: [&str; 5] = ["read", "covered", "ignored", "failed", "dead"];

/// What sweeps of everything come to.
const RUN_OUTCOMES: [RunState; 3] = [RunState::Done, RunState::Held, RunState::Failed];

impl Metrics {
    /// Registers the counters, at zero.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let events = IntCounterVec::new(
            Opts::new("rolecall_worker_events_total", "Events by what became of them"),
            &["outcome"],
        )?;
        registry.register(Box::new(events.clone()))?;
        for outcome in OUTCOMES {
            events.with_label_values(&[outcome]);
        }
        let due = IntGaugeVec::new(
            Opts::new("rolecall_worker_due", "What is owed to the outside, by kind"),
            &["kind"],
        )?;
        registry.register(Box::new(due.clone()))?;
        let runs = IntCounterVec::new(
            Opts::new(
                "rolecall_worker_reconcile_runs_total",
                "Sweeps of everything at Stripe by what they came to",
            ),
            &["outcome"],
        )?;
        registry.register(Box::new(runs.clone()))?;
        for outcome in RUN_OUTCOMES {
            runs.with_label_values(&[outcome.as_str()]);
        }
        let alarms = IntGaugeVec::new(
            Opts::new(
                "rolecall_worker_alarms",
                "What is wrong with the set-up now, by check",
            ),
            &["alarm"],
        )?;
        registry.register(Box::new(alarms.clone()))?;
        for check in CHECKS {
            alarms.with_label_values(&[check]);
        }
        Ok(Self {
            events,
            due,
            runs,
            alarms,
            inbox_pending: gauge(
                "rolecall_worker_inbox_pending",
                "Kept events that wait for their effect",
            )?,
            inbox_dead: gauge("rolecall_worker_inbox_dead", "Kept events that failed for good")?,
            inbox_oldest_age: gauge(
                "rolecall_worker_inbox_oldest_age_seconds",
                "Age of the oldest event that waits for its effect",
            )?,
            subscription_reads: counter(
                "rolecall_worker_subscription_reads_total",
                "Reads of subscriptions from Stripe",
            )?,
            swept_events: counter(
                "rolecall_worker_swept_events_total",
                "Events that no webhook had brought and the sweep found",
            )?,
            unwritten_reads: gauge(
                "rolecall_worker_unwritten_reads",
                "Reads of subscriptions that wait to be written",
            )?,
            covered_hints: counter(
                "rolecall_worker_covered_hints_total",
                "Hints that an earlier read had covered already",
            )?,
        })
    }

    /// Counts events that took effect.
    pub(crate) fn count_events(&self, synced: Synced, events: usize) {
        let outcome = match synced {
            Synced::Read => "read",
            Synced::Covered => "covered",
        };
        self.count(outcome, events);
    }

    /// Counts events that concern nothing that we keep.
    pub(crate) fn count_ignored(&self, events: usize) {
        self.count("ignored", events);
    }

    /// Counts events that are tried again, and those that are not.
    pub(crate) fn count_failures(&self, failed: usize, dead: usize) {
        self.count("failed", failed);
        self.count("dead", dead);
    }

    /// Shows how long the inbox is.
    pub(crate) fn show_backlog(&self, backlog: &Backlog, now: chrono::DateTime<chrono::Utc>) {
        self.inbox_pending.set(backlog.pending);
        self.inbox_dead.set(backlog.dead);
        let age = backlog.oldest.map_or(0, |oldest| (now - oldest).num_seconds());
        self.inbox_oldest_age.set(age.max(0));
    }

    /// Counts a sweep that has come to something.
    pub(crate) fn count_run(&self, state: RunState) {
        if RUN_OUTCOMES.contains(&state) {
            self.runs.with_label_values(&[state.as_str()]).inc();
        }
    }

    /// Shows what is wrong with the set-up.
    pub(crate) fn show_alarms(&self, alarms: &[Alarm]) {
        for check in CHECKS {
            let is_wrong = |alarm: &Alarm| alarm.name == check && alarm.severity == Severity::Alarm;
            let wrong = alarms.iter().any(is_wrong);
            self.alarms.with_label_values(&[check]).set(i64::from(wrong));
        }
    }

    /// Shows what is owed to the outside.
    pub(crate) fn show_due(&self, due: &DueRows) {
        for (kind, rows) in [
            ("roles", due.roles),
            ("messages", due.messages),
            ("convergences", due.convergences),
            ("trials", due.trials),
        ] {
            self.due.with_label_values(&[kind]).set(rows);
        }
    }

    fn count(&self, outcome: &str, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.events.with_label_values(&[outcome]).inc_by(events);
    }
}
