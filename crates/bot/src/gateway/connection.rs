//! One connection to the gateway, from HELLO to its end. It receives and hands over; nothing in here waits for
//! anything but the connection, because twilight sends heartbeats only while it is asked for messages.

use std::{future::poll_fn, task::Poll, time::Duration};

use futures::StreamExt;
use rolecall_discord::unreached::Unreached;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{
    CloseFrame, Message, Shard, ShardState,
    error::{ReceiveMessageError, ReceiveMessageErrorType},
};

use crate::{
    gateway::{
        cause::Cause,
        close::Fatal,
        event::{Event, Payload},
    },
    status::Phase,
    term::Ctx,
    world::SavedSession,
};

/// What stands for a connection that ended without a close frame.
const ABNORMAL: u16 = 1006;

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

const RECONNECT: u8 = 7;
const INVALID_SESSION: u8 = 9;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// We were told to stop, and the session is kept.
    Stopped,
    /// Connect again.
    Lost(Cause),
    /// Connecting again is of no use.
    Fatal(Fatal),
}

/// A connection and what listens on it.
pub(super) struct Connection<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) shard: Shard,
    pub(super) stop: &'a CancellationToken,
    /// It was there once.
    connected: bool,
    /// It carries a session.
    live: bool,
    /// The last step on the way to the session.
    progress_at: Instant,
    /// The last sign of life, and how often there has to be one.
    heard_at: Instant,
    interval: Option<Duration>,
    cause: Option<Cause>,
    pub(super) close_code: Option<u16>,
}

impl<'a> Connection<'a> {
    pub(super) fn new(ctx: &'a Ctx, shard: Shard, stop: &'a CancellationToken) -> Self {
        Self {
            ctx,
            shard,
            stop,
            connected: false,
            live: false,
            progress_at: Instant::now(),
            heard_at: Instant::now(),
            interval: None,
            cause: None,
            close_code: None,
        }
    }

    /// Whether Discord has said HELLO on it.
    pub(super) fn is_greeted(&self) -> bool {
        self.interval.is_some()
    }

    /// Whether a session came of it.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether Discord has acknowledged a heartbeat on it.
    pub(super) fn is_proven(&self) -> bool {
        self.shard.latency().received().is_some()
    }

    /// Receives until the connection has ended.
    pub(super) async fn run(&mut self) -> End {
        let Self { ctx, stop, .. } = *self;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.say_goodbye().await;
                    return End::Stopped;
                }
                // A gateway that takes a connection and leaves it at that would be waited for for ever.
                () = sleep_until(self.progress_at + ctx.bot.config.pace.handshake), if !self.live => {
                    let nothing_came = Cause::Unreached(Unreached::Timeout);
                    return End::Lost(if self.connected { Cause::NoSession } else { nothing_came });
                }
                received = ctx.guard.run(self.next()) => match received {
                    // Without the lease the connection is dropped as it is: the next holder resumes the session.
                    Err(_) => return End::Stopped,
                    Ok(message) => self.take(message),
                },
            }
            if let Some(end) = self.ended() {
                return end;
            }
        }
    }

    fn take(&mut self, message: Option<Result<Message, ReceiveMessageError>>) {
        match message {
            Some(Ok(Message::Text(text))) => self.hand_over(&text),
            Some(Ok(Message::Close(frame))) => {
                self.close_code = frame.map(|frame| frame.code);
                let cause = match self.close_code.filter(|code| *code != ABNORMAL) {
                    Some(code) => Cause::Closed(code),
                    None => self.broken(),
                };
                self.cause.get_or_insert(cause);
                tracing::info!(code = self.close_code, "the gateway connection was closed");
            }
            // The error's own text may hold a whole event.
            Some(Err(error)) if matches!(error.kind(), ReceiveMessageErrorType::Reconnect) => {
                let source = error.into_source();
                let why = source.map_or(Unreached::Other, |source| Unreached::of(&*source));
                tracing::warn!(cause = why.text(), "the gateway could not be reached");
                self.cause.get_or_insert(Cause::Unreached(why));
            }
            Some(Err(_)) => tracing::warn!("a gateway message could not be read; skipped"),
            None => {}
        }
        if let Some(at) = self.shard.latency().received() {
            self.ctx.bot.status.acked(at);
        }
    }

    /// What twilight calls an abnormal end: an error of the line, or a heartbeat that was not acknowledged in time.
    fn broken(&self) -> Cause {
        match self.interval {
            Some(interval) if self.heard_at.elapsed() >= interval.mul_f64(0.9) => Cause::Zombie,
            _ => Cause::Broken,
        }
    }

    fn hand_over(&mut self, text: &str) {
        let status = &self.ctx.bot.status;
        self.heard_at = Instant::now();
        let Ok(payload) = Payload::read(text) else { return };
        if let Some(interval) = payload.heartbeat_interval() {
            self.interval = Some(interval);
            self.progress_at = self.heard_at;
            status.greeted(interval);
        }
        match payload.op {
            RECONNECT => drop(self.cause.get_or_insert(Cause::Reconnect)),
            INVALID_SESSION => drop(self.cause.get_or_insert(Cause::InvalidSession)),
            _ => {}
        }
        let (0, Some(sequence)) = (payload.op, payload.sequence) else {
            return;
        };
        self.progress_at = self.heard_at;
        status.dispatched();
        match payload.event() {
            Ok(Event::Ready(ready)) => {
                tracing::info!("a new gateway session has begun");
                self.ctx.bot.world.session_started(SavedSession {
                    id: ready.session_id,
                    sequence,
                    resume_url: ready.resume_gateway_url,
                    intents: self.ctx.bot.intents,
                    bot_user_id: ready.user.id,
                });
                self.live = true;
                status.set_phase(Phase::Live);
            }
            Ok(Event::Resumed) => {
                tracing::info!("the gateway session was resumed");
                self.ctx.bot.world.apply(Event::Resumed, sequence);
                self.ctx.bot.world.session_resumed();
                self.live = true;
                status.set_phase(Phase::Live);
            }
            Ok(event) => self.ctx.bot.world.apply(event, sequence),
            Err(error) => {
                tracing::warn!(event = payload.kind(), %error, "a gateway event could not be read; skipped");
                self.ctx.bot.world.missed(payload.kind());
            }
        }
    }

    /// The end, as twilight sees it. It would connect again by itself, but at once and without end.
    fn ended(&self) -> Option<End> {
        match self.shard.state() {
            ShardState::FatallyClosed => Some(End::Fatal(Fatal::of(self.close_code.unwrap_or_default()))),
            ShardState::Disconnected { .. } => Some(End::Lost(self.cause.unwrap_or(Cause::Broken))),
            ShardState::Active | ShardState::Identifying | ShardState::Resuming => None,
        }
    }

    /// Closes so that the session can be resumed.
    async fn say_goodbye(&mut self) {
        if !self.connected {
            return;
        }
        self.shard.close(CloseFrame::RESUME);
        let said = async {
            while let Some(Ok(Message::Text(text))) = self.next().await {
                self.hand_over(&text);
            }
        };
        // Discord keeps the session of a connection that just breaks off as well.
        let _ = timeout(GOODBYE, said).await;
    }

    /// The next message, or `None` when the connection is over. Where twilight would connect again without a word,
    /// it is not asked any further.
    async fn next(&mut self) -> Option<Result<Message, ReceiveMessageError>> {
        poll_fn(|cx| {
            let polled = self.shard.poll_next_unpin(cx);
            let is_over = self.ended().is_some();
            self.connected |= !is_over;
            if polled.is_pending() && is_over && self.connected {
                Poll::Ready(None)
            } else {
                polled
            }
        })
        .await
    }
}
