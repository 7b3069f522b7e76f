//! The sections of the environment that the worker reads.

use rolecall_runtime::{
    config::{
        DatabaseConfig, DrainConfig, HealthConfig, JobsConfig, MailConfig, PolicyConfig, RedisConfig,
        StripeConfig, TelemetryConfig,
    },
    env::{ConfigError, Env, Service},
};

/// Everything that the worker is configured by.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// How to reach Postgres.
    pub database: DatabaseConfig,
    /// How to reach Redis.
    pub redis: RedisConfig,
    /// How to call Stripe.
    pub stripe: StripeConfig,
    /// How mail leaves, if it does.
    pub mail: Option<MailConfig>,
    /// How jobs are repeated, and whether recurring ones run here.
    pub jobs: JobsConfig,
    /// What the owner decided for the whole installation.
    pub policy: PolicyConfig,
    /// Where health is served.
    pub health: HealthConfig,
    /// How long a stop may take.
    pub drain: DrainConfig,
    /// What is logged, and how.
    pub telemetry: TelemetryConfig,
}

impl WorkerConfig {
    /// Reads it, or names every fault.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        env.read(Service::Worker, |reader| {
            let database = DatabaseConfig::from_env(reader);
            let redis = RedisConfig::from_env(reader);
            let stripe = StripeConfig::from_env(reader);
            let mail = MailConfig::from_env(reader);
            let jobs = JobsConfig::from_env(reader);
            let policy = PolicyConfig::from_env(reader);
            let health = HealthConfig::from_env(reader);
            let drain = DrainConfig::from_env(reader);
            let telemetry = TelemetryConfig::from_env(reader);
            Ok(Self {
                database: database?,
                redis: redis?,
                stripe: stripe?,
                mail: mail?,
                jobs: jobs?,
                policy: policy?,
                health: health?,
                drain: drain?,
                telemetry: telemetry?,
            })
        })
    }
}
