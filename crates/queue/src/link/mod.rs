//! One connection to Redis that mends itself, shared by everything in a process that does not
//! block. Not redis' own `ConnectionManager`: that one waits out its whole retry schedule while
//! Redis is away, keeps a connection whose peer stopped answering, and never recovers from a
//! refusal during the handshake.

mod open;
mod outage;
mod trouble;
mod words;

use std::{io, sync::Arc, time::Duration};

use futures::FutureExt;
use redis::{
    Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};

use crate::link::open::Open;
pub use crate::link::words::in_plain_words;
pub(crate) use crate::link::{
    outage::Outage,
    trouble::{Trouble, is_broken, is_full, is_group_gone},
};

/// How long Redis is waited for.
#[derive(Debug, Clone, Copy)]
pub struct LinkOptions {
    /// The most a connection may take to be made.
    pub connect_timeout: Duration,
    /// The most a command may take, with the making of a connection where there is none.
    pub response_timeout: Duration,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(2),
        }
    }
}

/// The way to Redis. Cheap to clone; all clones share one connection.
///
/// It is made at the first command and again after every loss. While Redis is away a command
/// fails at once (refused) or after the response timeout (silent).
#[derive(Debug, Clone)]
pub struct Link {
    open: Arc<Open>,
    namespace: Arc<str>,
    response_timeout: Duration,
}

impl Link {
    /// A link to the Redis at `url`, whose keys all start with `namespace`. Touches no network.
    pub fn new(url: &str, namespace: &str, options: LinkOptions) -> Result<Self, InvalidRedisUrl> {
        Ok(Self {
            open: Arc::new(Open::new(url, options.connect_timeout).map_err(InvalidRedisUrl)?),
            namespace: namespace.into(),
            response_timeout: options.response_timeout,
        })
    }

    /// What all keys start with.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether Redis would take a write: one that answers may still be full, a replica, or without
    /// a disk. Writes nothing.
    pub async fn check(&self) -> Result<(), RedisError> {
        let mut write = redis::cmd("SET");
        // Only if it is there, which it never is.
        write
            .arg(format!("{}:never-there", self.namespace))
            .arg("")
            .arg("XX");
        write.query_async(&mut self.clone()).await
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), RedisError> {
        redis::cmd("PING").query_async(&mut self.clone()).await
    }

    /// A connection of one's own, which waits for an answer as long as it takes: for commands
    /// that block.
    pub(crate) async fn dedicated(&self) -> RedisResult<MultiplexedConnection> {
        self.open.dial().await
    }

    /// A connection of one's own that receives published messages.
    pub(crate) async fn pub_sub(&self) -> RedisResult<redis::aio::PubSub> {
        let timeout = self.open.connect_timeout();
        tokio::time::timeout(timeout, self.open.client().get_async_pubsub())
            .await
            .unwrap_or_else(|_| Err(timed_out(timeout)))
    }

    /// Sends a request, once more on a new connection if the old one turns out to be gone. So a
    /// request may be carried out twice; all of ours may.
    async fn request<T, F>(&self, send: impl Fn(MultiplexedConnection) -> F) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let deadline = tokio::time::Instant::now() + self.response_timeout;
        let mut retried = false;
        loop {
            let (generation, connection) = match self.open.current() {
                Some(open) => open,
                None => self.within(deadline, self.open.connection()).await?,
            };
            let answer = self.within(deadline, send(connection)).await;
            match answer {
                Err(error) if is_broken(&error) => {
                    self.open.discard(generation, &error);
                    if retried || !error.is_connection_dropped() {
                        return Err(error);
                    }
                    retried = true;
                }
                answer => return answer,
            }
        }
    }

    async fn within<T>(
        &self,
        deadline: tokio::time::Instant,
        future: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        tokio::time::timeout_at(deadline, future)
            .await
            .unwrap_or_else(|_| Err(timed_out(self.response_timeout)))
    }
}

fn timed_out(after: Duration) -> RedisError {
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no answer from Redis within {after:?}"),
    )
    .into()
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.request(move |mut connection| async move { connection.send_packed_command(cmd).await })
            .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.request(move |mut connection| async move {
            connection.send_packed_commands(pipeline, offset, count).await
        })
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.open.client().get_connection_info().redis_settings().db()
    }
}

/// A text that is not the URL of a Redis that can be used.
#[derive(Debug, thiserror::Error)]
#[error("not a usable Redis URL")]
pub struct InvalidRedisUrl(#[source] RedisError);
