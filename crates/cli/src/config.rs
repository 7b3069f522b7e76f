//! The sections of the environment that the commands read: each only what it needs.

use chrono::TimeDelta;
use rolecall_runtime::{
    config::{DatabaseConfig, PolicyConfig, RedisConfig, StripeConfig},
    env::{ConfigError, Env, Service, registry},
};

/// What a command needs that works with the database alone.
pub(crate) fn database(env: &Env) -> Result<DatabaseConfig, ConfigError> {
    env.read(Service::Cli, DatabaseConfig::from_env)
}

/// What a command needs that looks at the queues.
pub(crate) fn redis(env: &Env) -> Result<RedisConfig, ConfigError> {
    env.read(Service::Cli, RedisConfig::from_env)
}

/// What a command needs that also gives the worker something to do.
#[derive(Debug)]
pub(crate) struct WithRedis {
    pub(crate) database: DatabaseConfig,
    pub(crate) redis: RedisConfig,
}

pub(crate) fn with_redis(env: &Env) -> Result<WithRedis, ConfigError> {
    env.read(Service::Cli, |reader| {
        let database = DatabaseConfig::from_env(reader);
        let redis = RedisConfig::from_env(reader);
        Ok(WithRedis {
            database: database?,
            redis: redis?,
        })
    })
}

/// How long access lasts after a failed payment where the plan does not say.
pub(crate) fn default_grace(env: &Env) -> anyhow::Result<TimeDelta> {
    let grace = env.read(Service::Cli, PolicyConfig::grace_period_from_env)?;
    Ok(TimeDelta::from_std(grace)?)
}

/// How to call Stripe, where a key is given: without one, prices are checked later, by the worker.
pub(crate) fn stripe(env: &Env) -> Result<Option<StripeConfig>, ConfigError> {
    env.read(Service::Cli, |reader| {
        match reader.find(&registry::STRIPE_SECRET_KEY, rolecall_runtime::env::parse::text)? {
            Some(_) => StripeConfig::from_env(reader).map(Some),
            None => Ok(None),
        }
    })
}
