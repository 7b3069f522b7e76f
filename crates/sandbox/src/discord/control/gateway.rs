//! The moods of the gateway.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::discord::{
    gateway::{GatewaySwitches, Outgoing, close::CloseCode, handshake::Peer},
    state::World,
};

/// An action of the platform on its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum GatewayAction {
    /// Switches faults of the gateway; what is left out is off.
    SetGateway(GatewaySwitches),
    /// What HELLO asks of new connections.
    SetHeartbeatInterval {
        /// Milliseconds.
        millis: u64,
    },
    /// IDENTIFYs left of the day.
    SetIdentifyBudget {
        /// How many.
        remaining: u32,
    },
    /// Closes every connection with a code.
    CloseGateway {
        /// The code.
        code: u16,
    },
    /// Cuts every connection without a word.
    CutGateway,
    /// Asks every connection to reconnect (op 7).
    Reconnect,
    /// Tells every connection that its session is invalid (op 9).
    InvalidateSessions {
        /// Whether a RESUME is worth trying. If not, the sessions end.
        resumable: bool,
    },
    /// Forgets all sessions without telling anybody.
    ForgetSessions,
}

impl World {
    pub(crate) fn act_as_gateway(&mut self, action: GatewayAction, now: DateTime<Utc>) {
        match action {
            GatewayAction::SetGateway(switches) => self.gateway.switches = switches,
            GatewayAction::SetHeartbeatInterval { millis } => {
                self.gateway.config.heartbeat_interval = Duration::from_millis(millis);
            }
            GatewayAction::SetIdentifyBudget { remaining } => self.gateway.budget.set_remaining(remaining),
            GatewayAction::CloseGateway { code } => {
                self.gateway
                    .deliver_all(|| Outgoing::Close(CloseCode::Other(code)));
            }
            GatewayAction::CutGateway => self.gateway.deliver_all(|| Outgoing::Cut),
            GatewayAction::Reconnect => {
                for connection in self.gateway.connections.keys() {
                    self.gateway.send(*connection, 7, &Value::Null);
                }
            }
            GatewayAction::InvalidateSessions { resumable } => self.invalidate_sessions(resumable, now),
            GatewayAction::ForgetSessions => self.gateway.sessions.clear(),
        }
    }

    fn invalidate_sessions(&mut self, resumable: bool, now: DateTime<Utc>) {
        let mut carriers = Vec::new();
        for session in self.gateway.sessions.values_mut() {
            carriers.extend(session.connection.take());
            session.disconnected_at = Some(Instant::now());
        }
        if !resumable {
            self.gateway.sessions.clear();
        }
        for connection in carriers {
            self.invalid_session(
                &Peer {
                    connection,
                    session: None,
                },
                resumable,
                now,
            );
        }
    }
}
