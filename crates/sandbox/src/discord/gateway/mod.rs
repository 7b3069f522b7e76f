//! The gateway: WebSocket connections, sessions that outlive them, and the events that they carry.

pub(crate) mod budget;
pub(crate) mod chunks;
pub(crate) mod close;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod handshake;
pub(crate) mod intents;
pub mod log;
pub(crate) mod route;
pub(crate) mod session;

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::discord::{
    config::GatewayConfig,
    gateway::{budget::IdentifyBudget, close::CloseCode, log::GatewayEntry, session::Session},
};

/// What a connection has to send.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Text(String),
    Close(CloseCode),
    /// Cut the TCP connection without a word.
    Cut,
}

/// Faults of the gateway that stay on until switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, and any of them go together"
)]
pub struct GatewaySwitches {
    /// Heartbeats are not acknowledged.
    pub no_acks: bool,
    /// Nothing is sent any more; what happens meanwhile is kept for a RESUME.
    pub silent: bool,
    /// `GUILD_MEMBER_UPDATE` is never sent.
    pub no_member_updates: bool,
    /// New connections are refused with 503.
    pub refuse_connections: bool,
    /// New connections are taken and hear nothing at all, not even HELLO.
    pub no_hello: bool,
    /// Neither an IDENTIFY nor a RESUME is answered, though the former is counted.
    pub no_session: bool,
}

/// All connections and sessions.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: GatewayConfig,
    pub(crate) switches: GatewaySwitches,
    pub(crate) budget: IdentifyBudget,
    pub(crate) log: Vec<GatewayEntry>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) connections: BTreeMap<u64, UnboundedSender<Outgoing>>,
    connections_made: u64,
    /// When all members of a guild were last asked for, by guild.
    pub(crate) member_requests: BTreeMap<u64, Instant>,
}

impl Gateway {
    pub(crate) fn new(config: GatewayConfig) -> Self {
        Self {
            budget: IdentifyBudget::new(config.identify_total, config.identify_interval),
            config,
            switches: GatewaySwitches::default(),
            log: Vec::new(),
            sessions: BTreeMap::new(),
            connections: BTreeMap::new(),
            connections_made: 0,
            member_requests: BTreeMap::new(),
        }
    }

    /// Takes a new connection in and greets it.
    pub(crate) fn open(&mut self, sender: UnboundedSender<Outgoing>) -> u64 {
        self.connections_made += 1;
        let connection = self.connections_made;
        self.connections.insert(connection, sender);
        let interval = u64::try_from(self.config.heartbeat_interval.as_millis()).unwrap_or(u64::MAX);
        // HELLO comes even from a gateway that then falls silent: the hardest case to notice.
        let hello = json!({"heartbeat_interval": interval, "_trace": ["[\"simulator\"]"]});
        if !self.switches.no_hello {
            self.deliver(connection, Outgoing::Text(payload(10, &hello)));
        }
        connection
    }

    /// Forgets a connection. Its session stays resumable unless the client said goodbye.
    pub(crate) fn closed(&mut self, connection: u64, goodbye: bool) {
        self.connections.remove(&connection);
        let of_connection = |session: &Session| session.connection == Some(connection);
        if goodbye {
            self.sessions.retain(|_, session| !of_connection(session));
        }
        for session in self
            .sessions
            .values_mut()
            .filter(|session| of_connection(session))
        {
            session.connection = None;
            session.disconnected_at = Some(Instant::now());
        }
    }

    /// Sends a payload without sequence number.
    pub(crate) fn send(&self, connection: u64, op: u8, data: &Value) {
        if !self.switches.silent {
            self.deliver(connection, Outgoing::Text(payload(op, data)));
        }
    }

    /// Hands something to a connection; one that is gone hears nothing.
    pub(crate) fn deliver(&self, connection: u64, outgoing: Outgoing) {
        if let Some(sender) = self.connections.get(&connection) {
            // The receiver is gone only while the connection is being taken down.
            drop(sender.send(outgoing));
        }
    }

    /// Hands something to every connection.
    pub(crate) fn deliver_all(&self, outgoing: impl Fn() -> Outgoing) {
        for connection in self.connections.keys() {
            self.deliver(*connection, outgoing());
        }
    }

    /// Ends all sessions and closes their connections.
    pub(crate) fn end_sessions(&mut self, code: CloseCode) {
        for session in std::mem::take(&mut self.sessions).into_values() {
            if let Some(connection) = session.connection {
                self.deliver(connection, Outgoing::Close(code));
            }
        }
    }
}

/// A payload that is not an event.
fn payload(op: u8, data: &Value) -> String {
    json!({"op": op, "d": data, "s": null, "t": null}).to_string()
}
