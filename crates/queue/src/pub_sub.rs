//! Telling whoever listens just now. Nothing is kept: a listener that was away must look itself.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use redis::{
    AsyncCommands, RedisError, RedisResult,
    aio::{PubSubSink, PubSubStream},
};
use rolecall_domain::clock::Rng;

use crate::{backoff::Backoff, causes::causes, link::Link};

/// A silent connection is asked this often whether it still lives, and has this long to answer.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The subscription begins, at first or after a loss: what was published before was missed.
    Subscribed,
    /// Somebody published this.
    Message(String),
}

/// Tells whoever listens to `<namespace>:<channel>`.
pub async fn publish(link: &Link, channel: &str, message: &str) -> Result<(), RedisError> {
    link.clone().publish(key(link, channel), message).await
}

/// Listens to `<namespace>:<channel>` for ever, subscribing again after every loss.
pub fn subscribe(link: &Link, channel: &str, rng: &Arc<dyn Rng>) -> impl Stream<Item = Heard> + Send + use<> {
    let listener = Listener {
        link: link.clone(),
        channel: key(link, channel),
        open: None,
        backoff: Backoff::new(rng),
    };
    stream::unfold(listener, |mut listener| async move {
        let heard = listener.next().await;
        Some((heard, listener))
    })
}

struct Listener {
    link: Link,
    channel: String,
    open: Option<(PubSubSink, PubSubStream)>,
    backoff: Backoff,
}

impl Listener {
    async fn next(&mut self) -> Heard {
        loop {
            match &mut self.open {
                Some((sink, messages)) => match hear(sink, messages).await {
                    Some(message) => return Heard::Message(message),
                    None => self.open = None,
                },
                None => match self.open().await {
                    Ok(open) => {
                        self.open = Some(open);
                        self.backoff.reset();
                        return Heard::Subscribed;
                    }
                    Err(error) => {
                        tracing::debug!(
                            error = causes(&error),
                            channel = self.channel,
                            "cannot subscribe yet"
                        );
                        tokio::time::sleep(self.backoff.next()).await;
                    }
                },
            }
        }
    }

    async fn open(&self) -> RedisResult<(PubSubSink, PubSubStream)> {
        let (mut sink, messages) = self.link.pub_sub().await?.split();
        tokio::time::timeout(PING_TIMEOUT, sink.subscribe(&self.channel))
            .await
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
        Ok((sink, messages))
    }
}

/// The next message; `None` when the connection is lost.
async fn hear(sink: &mut PubSubSink, messages: &mut PubSubStream) -> Option<String> {
    loop {
        if let Ok(message) = tokio::time::timeout(PING_EVERY, messages.next()).await {
            return message?.get_payload().ok();
        }
        let pong = tokio::time::timeout(PING_TIMEOUT, sink.ping::<redis::Value>()).await;
        pong.ok()?.ok()?;
    }
}

fn key(link: &Link, channel: &str) -> String {
    format!("{}:{channel}", link.namespace())
}
