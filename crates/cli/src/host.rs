//! What the commands work with: the database, the queue, the clock and chance.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rolecall_db::{Database, DatabaseOptions, PoolerMode};
use rolecall_domain::{
    clock::{Clock, Rng},
    ids::uuid_v7,
};
use rolecall_queue::{InvalidRedisUrl, Job, Link, LinkOptions, Producer, Push};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    config::{DatabaseConfig, Pooler, RedisConfig, StripeConfig},
};
use rolecall_stripe::client::{
    Client,
    config::{BuildError, StripeClientConfig},
};
use secrecy::ExposeSecret;

/// A command runs one statement after the other.
const CONNECTIONS: u32 = 1;

/// The database with the clock and chance.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) db: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl Host {
    pub(crate) fn new(config: &DatabaseConfig) -> anyhow::Result<Self> {
        let db = Database::new(&DatabaseOptions {
            url: config.url.clone(),
            pooler: match config.pooler {
                Pooler::None => PoolerMode::None,
                Pooler::Session => PoolerMode::Session,
                Pooler::Transaction => PoolerMode::Transaction,
            },
            max_connections: CONNECTIONS,
        })?;
        Ok(Self {
            db,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        })
    }

    /// Pushes a job for the worker.
    pub(crate) async fn push<J: Job>(&self, redis: &RedisConfig, job: &J) -> anyhow::Result<()> {
        let now = self.clock.now();
        let push = Push::new(now, uuid_v7(now, &*self.rng));
        Producer::new(&link(redis)?).push(job, push).await?;
        Ok(())
    }

    /// Stripe.
    pub(crate) fn stripe(&self, config: &StripeConfig) -> Result<Client, BuildError> {
        Client::new(StripeClientConfig::new(
            config.api_base.join("/"),
            config.secret_key.clone(),
            Arc::clone(&self.rng),
        ))
    }
}

/// The way to Redis.
pub(crate) fn link(redis: &RedisConfig) -> Result<Link, InvalidRedisUrl> {
    Link::new(
        redis.url.expose_secret(),
        &redis.namespace,
        LinkOptions::default(),
    )
}

/// The time, for commands that need no database.
pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}
