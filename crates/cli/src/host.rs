//! What the commands work with: the database, the queue, the clock and chance.

use std::sync::Arc;

use rolecall_db::{Database, DatabaseOptions, PoolerMode};
use rolecall_domain::{
    clock::{Clock, Rng},
    ids::uuid_v7,
};
use rolecall_queue::{Job, Link, LinkOptions, Producer, Push, PushError};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    config::{DatabaseConfig, Pooler, RedisConfig},
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
        let link = Link::new(
            redis.url.expose_secret(),
            &redis.namespace,
            LinkOptions::default(),
        )?;
        let now = self.clock.now();
        let push = Push::new(now, uuid_v7(now, &*self.rng));
        let pushed: Result<_, PushError> = Producer::new(&link).push(job, push).await;
        pushed?;
        Ok(())
    }
}
