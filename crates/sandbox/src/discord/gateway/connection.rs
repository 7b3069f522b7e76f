//! One WebSocket connection: reads payloads, writes what the world hands it, watches the heartbeat.

use std::time::{Duration, Instant};

use actix_web::web;
use actix_ws::{Closed, Message, MessageStream, ProtocolError, Session as Socket};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::discord::{
    gateway::{Outgoing, close::CloseCode, handshake::Peer, log::GatewayStep},
    server::cut::Line,
    state::shared::Shared,
};

/// Larger payloads are refused.
const MAX_PAYLOAD: usize = 4_096;

/// A connection while it lives.
pub(crate) struct Connection {
    pub(crate) shared: web::Data<Shared>,
    pub(crate) peer: Peer,
    pub(crate) line: Option<Line>,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) sends: SendWindow,
}

/// Why a connection ended.
enum End {
    ByClient(Option<u16>),
    BySimulator(Option<u16>),
}

#[derive(Deserialize)]
struct Payload {
    op: u64,
    #[serde(default)]
    d: Value,
}

impl Connection {
    /// Runs until either side ends it, then tells the world.
    pub(crate) async fn run(
        mut self,
        socket: Socket,
        stream: MessageStream,
        outgoing: UnboundedReceiver<Outgoing>,
    ) {
        let end = self.exchange(socket, stream, outgoing).await;
        let (goodbye, step) = match end {
            // 1000 and 1001 say goodbye: the session ends with the connection.
            End::ByClient(code) => (
                matches!(code, Some(1000 | 1001)),
                GatewayStep::ClosedByClient { code },
            ),
            End::BySimulator(code) => (false, GatewayStep::ClosedBySimulator { code }),
        };
        self.shared.change(|world, now| {
            world.gateway.closed(self.peer.connection, goodbye);
            world.note(&self.peer, step, now);
        });
    }

    async fn exchange(
        &mut self,
        mut socket: Socket,
        mut stream: MessageStream,
        mut outgoing: UnboundedReceiver<Outgoing>,
    ) -> End {
        let stopped = self.shared.stopped().clone();
        let mut deadline = tokio::time::Instant::now() + self.heartbeat_timeout;
        loop {
            tokio::select! {
                frame = stream.recv() => match self.take(frame, &mut socket).await {
                    Ok(true) => deadline = tokio::time::Instant::now() + self.heartbeat_timeout,
                    Ok(false) => {}
                    Err(Taken::Gone(code)) => return End::ByClient(code),
                    Err(Taken::Refused(code)) => return close(socket, code).await,
                },
                next = outgoing.recv() => match next {
                    Some(Outgoing::Text(text)) => if socket.text(text).await.is_err() {
                        return End::ByClient(None);
                    },
                    Some(Outgoing::Close(code)) => return close(socket, code).await,
                    Some(Outgoing::Cut) | None => {
                        self.line.as_ref().map(Line::cut);
                        return End::BySimulator(None);
                    }
                },
                () = tokio::time::sleep_until(deadline) => {
                    return close(socket, CloseCode::SessionTimedOut).await;
                }
                () = stopped.cancelled() => return close(socket, CloseCode::GoingAway).await,
            }
        }
    }

    /// Handles one frame; `true` for a heartbeat.
    async fn take(
        &mut self,
        frame: Option<Result<Message, ProtocolError>>,
        socket: &mut Socket,
    ) -> Result<bool, Taken> {
        match frame {
            None => Err(Taken::Gone(None)),
            // After a cut line a farewell may still be waiting: it was read just before, and comes next.
            Some(Err(ProtocolError::Io(_)) | Ok(Message::Pong(_) | Message::Nop)) => Ok(false),
            Some(Err(_) | Ok(Message::Continuation(_))) => Err(Taken::Refused(CloseCode::DecodeError)),
            Some(Ok(Message::Close(reason))) => Err(Taken::Gone(reason.map(|reason| reason.code.into()))),
            Some(Ok(Message::Ping(bytes))) => {
                socket.pong(&bytes).await.map_err(|Closed| Taken::Gone(None))?;
                Ok(false)
            }
            Some(Ok(Message::Text(text))) => self.receive(text.as_bytes()).map_err(Taken::Refused),
            Some(Ok(Message::Binary(bytes))) => self.receive(&bytes).map_err(Taken::Refused),
        }
    }

    /// Judges one payload and acts on it.
    fn receive(&mut self, bytes: &[u8]) -> Result<bool, CloseCode> {
        if bytes.len() > MAX_PAYLOAD {
            return Err(CloseCode::DecodeError);
        }
        if !self.sends.count(Instant::now()) {
            return Err(CloseCode::RateLimited);
        }
        let payload: Payload = serde_json::from_slice(bytes).map_err(|_| CloseCode::DecodeError)?;
        let Self { shared, peer, .. } = self;
        let gateway_url = shared.gateway_url();
        shared.change(|world, now| match payload.op {
            1 => {
                if !world.gateway.switches.no_acks {
                    world.gateway.send(peer.connection, 11, &Value::Null);
                }
                world.note(peer, GatewayStep::Heartbeat, now);
                Ok(())
            }
            2 => world.identify(peer, payload.d, &gateway_url, now),
            6 => world.resume(peer, payload.d, now),
            3 | 4 | 8 if !world.carries(peer) => Err(CloseCode::NotAuthenticated),
            8 => world.request_members(peer, payload.d, now),
            3 | 4 => Ok(()),
            _ => Err(CloseCode::UnknownOpcode),
        })?;
        Ok(payload.op == 1)
    }
}

/// Why no further frame is read.
enum Taken {
    Gone(Option<u16>),
    Refused(CloseCode),
}

async fn close(socket: Socket, code: CloseCode) -> End {
    let reason = actix_ws::CloseReason {
        code: actix_ws::CloseCode::Other(code.number()),
        description: Some(code.reason().to_owned()),
    };
    // A client that is gone already needs no farewell.
    drop(socket.close(Some(reason)).await);
    End::BySimulator(Some(code.number()))
}

/// Counts the payloads of a minute.
#[derive(Debug)]
pub(crate) struct SendWindow {
    limit: u32,
    count: u32,
    started: Instant,
}

impl SendWindow {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            count: 0,
            started: Instant::now(),
        }
    }

    /// Counts one; `false` if it is one too many.
    fn count(&mut self, now: Instant) -> bool {
        if now.duration_since(self.started) >= Duration::from_mins(1) {
            self.started = now;
            self.count = 0;
        }
        self.count += 1;
        self.count <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_after_the_limit_is_one_too_many_until_the_minute_is_over() {
        let mut window = SendWindow::new(2);
        let now = Instant::now();
        assert_eq!(
            [window.count(now), window.count(now), window.count(now)],
            [true, true, false]
        );
        assert!(window.count(now + Duration::from_secs(61)));
    }
}
