//! How the connections to Discord are, for health and metrics.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rolecall_discord::rest::SessionStartLimit;

use crate::gateway::cause::Cause;

/// What to do about a token that Discord refuses.
pub(crate) const TOKEN_REFUSED: &str =
    "Discord refuses the bot token: put a current one into DISCORD_BOT_TOKEN and restart the bot";

/// How the connections to Discord are.
#[derive(Debug, Default)]
pub(crate) struct Status {
    gateway: Mutex<Gateway>,
    /// How the last call failed, if it did.
    last_failure: Mutex<Option<String>>,
}

/// How far the gateway connection is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Not ours to hold.
    #[default]
    Standby,
    /// On the way to a session, or back to it.
    Connecting,
    /// A session is carried.
    Live,
    /// Waiting for something that comes by itself.
    Waiting(String),
    /// Somebody has to do something.
    Broken(String),
}

#[derive(Debug, Default)]
struct Gateway {
    phase: Phase,
    connected_at: Option<Instant>,
    heartbeat: Option<Duration>,
    acked_at: Option<Instant>,
    dispatched_at: Option<Instant>,
    starts: Option<SessionStartLimit>,
    trouble: Option<Trouble>,
}

/// Connections that ended, since the last one that was good.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    last: Cause,
    count: u32,
    since: DateTime<Utc>,
    /// Until the next one is made.
    wait: Duration,
}

impl Status {
    pub(crate) fn set_phase(&self, phase: Phase) {
        let mut gateway = self.gateway();
        if phase != Phase::Live {
            (gateway.connected_at, gateway.acked_at, gateway.dispatched_at) = (None, None, None);
        }
        match phase {
            Phase::Standby => gateway.trouble = None,
            // A dead connection looks alive until its first heartbeat is not acknowledged.
            Phase::Live
                if gateway
                    .trouble
                    .is_some_and(|trouble| trouble.last != Cause::Zombie) =>
            {
                gateway.trouble = None;
            }
            _ => {}
        }
        gateway.phase = phase;
    }

    /// A connection has ended, and another one will be made after `wait`.
    pub(crate) fn lost(&self, cause: Cause, now: DateTime<Utc>, wait: Duration) {
        self.set_phase(Phase::Connecting);
        let mut gateway = self.gateway();
        let before = gateway.trouble;
        gateway.trouble = Some(Trouble {
            last: cause,
            count: before.map_or(0, |trouble| trouble.count).saturating_add(1),
            since: before.map_or(now, |trouble| trouble.since),
            wait,
        });
    }

    /// HELLO: a connection is there, and this is how often it wants a heartbeat.
    pub(crate) fn greeted(&self, heartbeat: Duration) {
        let mut gateway = self.gateway();
        gateway.connected_at = Some(Instant::now());
        gateway.heartbeat = Some(heartbeat);
    }

    /// A heartbeat was acknowledged then.
    pub(crate) fn acked(&self, at: Instant) {
        let mut gateway = self.gateway();
        gateway.acked_at = Some(at);
        if gateway.phase == Phase::Live {
            gateway.trouble = None;
        }
    }

    /// An event came.
    pub(crate) fn dispatched(&self) {
        self.gateway().dispatched_at = Some(Instant::now());
    }

    /// How many sessions may still be started.
    pub(crate) fn set_starts(&self, starts: SessionStartLimit) {
        self.gateway().starts = Some(starts);
    }

    pub(crate) fn starts_remaining(&self) -> Option<u32> {
        self.gateway().starts.map(|starts| starts.remaining)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.gateway().phase == Phase::Live
    }

    /// Since the last acknowledged heartbeat, or since the connection if there was none yet.
    pub(crate) fn ack_age(&self) -> Option<Duration> {
        let gateway = self.gateway();
        gateway.acked_at.or(gateway.connected_at).map(|at| at.elapsed())
    }

    /// Whether the gateway is well, in words.
    pub(crate) fn gateway_report(&self) -> Result<String, String> {
        let gateway = self.gateway();
        match &gateway.phase {
            Phase::Standby => Ok("held by the bot that leads".to_owned()),
            Phase::Connecting => Err(gateway
                .trouble
                .map_or_else(|| "connecting".to_owned(), Trouble::text)),
            Phase::Waiting(why) | Phase::Broken(why) => Err(why.clone()),
            Phase::Live => gateway.liveness(),
        }
    }

    /// How the last call went.
    pub(crate) fn called(&self, failure: Option<String>) {
        *self.last_failure() = failure;
    }

    /// Whether calls work, in words.
    pub(crate) fn rest_report(&self) -> Result<String, String> {
        match &*self.last_failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok("answers".to_owned()),
        }
    }

    fn gateway(&self) -> MutexGuard<'_, Gateway> {
        self.gateway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn text(self) -> String {
        let (last, since) = (self.last.text(), self.since.format("%Y-%m-%d %H:%M UTC"));
        let pace = match self.wait.as_secs() {
            0 => "connecting again".to_owned(),
            seconds => format!("connecting again every {seconds} s"),
        };
        format!("{last} since {since}; {pace}; {} ended so far", self.count)
    }
}

impl Gateway {
    /// A zombie looks connected but acknowledges nothing.
    fn liveness(&self) -> Result<String, String> {
        let age = |at: Option<Instant>| {
            at.map_or_else(
                || "none yet".to_owned(),
                |at| format!("{} s ago", at.elapsed().as_secs()),
            )
        };
        let starts = self.starts.map_or_else(String::new, |starts| {
            format!(
                ", {} of {} session starts left today",
                starts.remaining, starts.total
            )
        });
        let detail = format!(
            "heartbeat ack {}, last event {}{starts}",
            age(self.acked_at),
            age(self.dispatched_at)
        );
        let silence = self
            .acked_at
            .or(self.connected_at)
            .map(|at| at.elapsed())
            .unwrap_or_default();
        match self.heartbeat {
            _ if let Some(trouble) = self.trouble => {
                Err(format!("{}; the new one is not proven yet", trouble.text()))
            }
            Some(heartbeat) if silence > heartbeat.mul_f64(2.5) => {
                Err(format!("the connection is dead: {detail}"))
            }
            _ => Ok(detail),
        }
    }
}
