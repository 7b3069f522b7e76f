//! What the bot counts, declared in one place and at zero from the start.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::gateway::cause::Cause;

/// Every way a command can end, as a label.
const OUTCOMES: [&str; 7] = [
    "applied",
    "not_in_guild",
    "kicked",
    "blocked",
    "failed",
    "superseded",
    "retried",
];

/// Every kind of answer of Discord, as a label.
const ANSWERS: [&str; 8] = ["2xx", "401", "403", "404", "429", "4xx", "5xx", "none"];

/// Every call that the bot makes, as a label.
pub(crate) const CALLS: [&str; 11] = [
    "current_user",
    "current_application",
    "gateway_bot",
    "guild",
    "get_member",
    "add_member",
    "add_role",
    "remove_role",
    "remove_member",
    "open_direct_channel",
    "create_message",
];

/// The bot's own counters and gauges; those of jobs and queues are the queue's.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    commands: IntCounterVec,
    requests: IntCounterVec,
    /// Connections to the gateway after the first.
    pub(crate) reconnects: IntCounter,
    gateway_ends: IntCounterVec,
    /// Facts handed to the worker.
    pub(crate) events: IntCounter,
    pub(crate) lease_held: IntGauge,
    pub(crate) gateway_live: IntGauge,
    pub(crate) ack_age: Gauge,
    pub(crate) starts_remaining: IntGauge,
    pub(crate) invalid_requests: IntGauge,
    pub(crate) rate_limited: IntGauge,
    pub(crate) waiting_now: IntGauge,
    pub(crate) waiting_bulk: IntGauge,
    pub(crate) setup_faults: IntGauge,
}

impl Metrics {
    /// Registers everything, at zero.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
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
        let ack_age = Gauge::new(
            "rolecall_bot_heartbeat_ack_age_seconds",
            "Since the gateway's last sign of life.",
        )?;
        registry.register(Box::new(ack_age.clone()))?;
        let metrics = Self {
            commands: counters(
                "rolecall_bot_commands_total",
                "Role commands by outcome.",
                &["outcome"],
            )?,
            requests: counters(
                "rolecall_bot_discord_requests_total",
                "Calls to Discord.",
                &["call", "status"],
            )?,
            reconnects: counter(
                "rolecall_bot_gateway_reconnects_total",
                "Gateway connections after the first.",
            )?,
            gateway_ends: counters(
                "rolecall_bot_gateway_ends_total",
                "Gateway connections that ended and were made again, by cause.",
                &["cause"],
            )?,
            events: counter(
                "rolecall_bot_discord_events_total",
                "What was seen in Discord and told the worker.",
            )?,
            lease_held: gauge("rolecall_bot_lease_held", "1 on the bot that acts.")?,
            gateway_live: gauge(
                "rolecall_bot_gateway_live",
                "1 while the gateway session is carried.",
            )?,
            ack_age,
            starts_remaining: gauge(
                "rolecall_bot_session_starts_remaining",
                "IDENTIFYs left today; -1 if unknown.",
            )?,
            invalid_requests: gauge(
                "rolecall_bot_discord_invalid_requests",
                "401, 403 and 429 of the last ten minutes; Discord bans at 10,000.",
            )?,
            rate_limited: gauge(
                "rolecall_bot_discord_rate_limited",
                "Answers with status 429 since the start.",
            )?,
            waiting_now: gauge(
                "rolecall_bot_limiter_waiting_now",
                "Calls that wait and for which somebody waits.",
            )?,
            waiting_bulk: gauge("rolecall_bot_limiter_waiting_bulk", "Calls of sweeps that wait.")?,
            setup_faults: gauge(
                "rolecall_bot_setup_faults",
                "What keeps mapped roles from being given.",
            )?,
        };
        metrics.starts_remaining.set(-1);
        metrics.start_at_zero();
        Ok(metrics)
    }

    /// A command has ended.
    pub(crate) fn command(&self, outcome: &str) {
        self.commands.with_label_values(&[outcome]).inc();
    }

    /// Discord has answered, or not.
    pub(crate) fn request(&self, call: &str, status: Option<u16>) {
        let label = match status {
            None => "none",
            Some(200..=299) => "2xx",
            Some(401) => "401",
            Some(403) => "403",
            Some(404) => "404",
            Some(429) => "429",
            Some(500..) => "5xx",
            Some(_) => "4xx",
        };
        self.requests.with_label_values(&[call, label]).inc();
    }

    /// A connection to the gateway has ended.
    pub(crate) fn gateway_ended(&self, cause: Cause) {
        self.gateway_ends.with_label_values(&[cause.label()]).inc();
    }

    fn start_at_zero(&self) {
        for cause in Cause::LABELS {
            self.gateway_ends.with_label_values(&[cause]).inc_by(0);
        }
        for outcome in OUTCOMES {
            self.commands.with_label_values(&[outcome]).inc_by(0);
        }
        for call in CALLS {
            for answer in ANSWERS {
                self.requests.with_label_values(&[call, answer]).inc_by(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_there_from_the_start_and_no_other_appears() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let series = || {
            registry
                .gather()
                .iter()
                .map(|family| family.get_metric().len())
                .sum::<usize>()
        };
        let at_start = series();
        for call in CALLS {
            for status in [
                None,
                Some(204),
                Some(400),
                Some(401),
                Some(403),
                Some(404),
                Some(429),
                Some(503),
            ] {
                metrics.request(call, status);
            }
        }
        for outcome in OUTCOMES {
            metrics.command(outcome);
        }
        assert_eq!(series(), at_start);
    }
}
