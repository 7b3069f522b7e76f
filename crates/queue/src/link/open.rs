//! The one open connection of a link: made by the first who needs it while the others wait.

use std::{
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Client, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::sync::Mutex;

use crate::link::Outage;

/// Commands that may wait to be written; beyond it callers wait.
const PIPELINE_BUFFER: usize = 1024;
/// After this long without an acknowledgement the kernel gives a connection up.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Open {
    client: Client,
    connect_timeout: Duration,
    slot: RwLock<Slot>,
    /// Held while a connection is made; keeps when that last failed, and why.
    dialling: Mutex<Option<(Instant, RedisError)>>,
    outage: Outage,
}

struct Slot {
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("generation", &self.generation)
            .field("open", &self.connection.is_some())
            .finish()
    }
}

impl Open {
    pub(crate) fn new(url: &str, connect_timeout: Duration) -> RedisResult<Self> {
        let info = url.into_connection_info()?;
        // RESP2, whatever the URL says: replies are parsed by their shape.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let tcp = TcpSettings::default()
            .set_nodelay(true)
            .set_user_timeout(TCP_USER_TIMEOUT);
        Ok(Self {
            client: Client::open(info.set_redis_settings(redis).set_tcp_settings(tcp))?,
            connect_timeout,
            slot: RwLock::new(Slot {
                generation: 0,
                connection: None,
            }),
            dialling: Mutex::new(None),
            outage: Outage::new("Redis is away"),
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// A new connection that belongs to the caller.
    pub(crate) async fn dial(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
        let dialled = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        match &dialled {
            Ok(_) => self.outage.ended(),
            Err(error) => self.outage.began(error),
        }
        dialled
    }

    /// The open connection and its generation, made now where there is none.
    pub(crate) async fn connection(&self) -> RedisResult<(u64, MultiplexedConnection)> {
        if let Some(open) = self.current() {
            return Ok(open);
        }
        let asked = Instant::now();
        let mut last_failure = self.dialling.lock().await;
        if let Some(open) = self.current() {
            return Ok(open);
        }
        // Somebody tried while we waited: the callers of one moment share one failure, or they
        // would wait for each other's timeouts in turn.
        if let Some((when, error)) = &*last_failure
            && *when >= asked
        {
            return Err(error.clone());
        }
        match self.dial().await {
            Ok(connection) => Ok((self.store(connection.clone()), connection)),
            Err(error) => {
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Gives up the connection of this generation because of `error`.
    pub(crate) fn discard(&self, generation: u64, error: &RedisError) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        if slot.generation == generation && slot.connection.take().is_some() {
            self.outage.began(error);
        }
    }

    /// The open connection and its generation.
    pub(crate) fn current(&self) -> Option<(u64, MultiplexedConnection)> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        slot.connection
            .clone()
            .map(|connection| (slot.generation, connection))
    }

    fn store(&self, connection: MultiplexedConnection) -> u64 {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.generation += 1;
        slot.connection = Some(connection);
        slot.generation
    }
}
