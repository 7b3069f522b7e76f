//! The sections of the environment that the worker reads.

use rolecall_runtime::{
    config::{
        DatabaseConfig, DrainConfig, HealthConfig, JobsConfig, MailConfig, Origin, PolicyConfig, RedisConfig,
        StripeConfig, TelemetryConfig, public_url_if_set,
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
    /// `PUBLIC_URL`: the origin that members see and Stripe sends events to, where it is known.
    pub public_url: Option<Origin>,
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
            let public_url = public_url_if_set(reader);
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
                public_url: public_url?,
                jobs: jobs?,
                policy: policy?,
                health: health?,
                drain: drain?,
                telemetry: telemetry?,
            })
        })
    }
}
