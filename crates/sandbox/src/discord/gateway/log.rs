//! What happened on the gateway: connections, IDENTIFYs, RESUMEs, ends.

use chrono::{DateTime, Utc};
use serde::Serialize;

/// One step in the life of a gateway connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GatewayEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Which connection, counted from 1.
    pub connection: u64,
    /// What.
    #[serde(flatten)]
    pub step: GatewayStep,
}

/// What a connection did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum GatewayStep {
    /// It was opened on this path: `/gateway`, or `/gateway/resume` as READY asks for.
    Connected {
        /// The path.
        path: String,
    },
    /// It identified.
    Identified {
        /// The new session.
        session: String,
        /// The intents asked for.
        intents: u64,
    },
    /// It resumed.
    Resumed {
        /// The session.
        session: String,
        /// How many missed events were sent again.
        replayed: usize,
    },
    /// It was told that its session is invalid (op 9).
    InvalidSession {
        /// Whether a RESUME is worth trying.
        resumable: bool,
    },
    /// It sent a heartbeat.
    Heartbeat,
    /// It asked for members (op 8).
    RequestedMembers {
        /// Of which guild.
        guild: String,
        /// In how many chunks they were sent.
        chunks: usize,
    },
    /// The client closed it, with this code; `None` if it just went away.
    ClosedByClient {
        /// The code.
        code: Option<u16>,
    },
    /// The simulator closed it, with this code; `None` if it cut the line.
    ClosedBySimulator {
        /// The code.
        code: Option<u16>,
    },
}
