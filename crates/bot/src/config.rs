//! The sections of the environment that the bot reads.

use rolecall_runtime::{
    config::{
        DiscordBotConfig, DrainConfig, EncryptionKeys, HealthConfig, LeaseConfig, RedisConfig, RetrySchedule,
        TelemetryConfig,
    },
    env::{ConfigError, Env, Service},
};

use crate::pace::Pace;

/// Everything that the bot is configured by.
#[derive(Debug, Clone)]
pub struct BotConfig {
    /// How to reach Redis.
    pub redis: RedisConfig,
    /// How to sign in to Discord.
    pub discord: DiscordBotConfig,
    /// How the bot stays the only one.
    pub lease: LeaseConfig,
    /// The keys under which people's tokens come.
    pub keys: EncryptionKeys,
    /// How commands are repeated.
    pub retries: RetrySchedule,
    /// Where health is served.
    pub health: HealthConfig,
    /// How long a stop may take.
    pub drain: DrainConfig,
    /// What is logged, and how.
    pub telemetry: TelemetryConfig,
    /// How patient it is with a Discord that is out of order.
    pub pace: Pace,
}

impl BotConfig {
    /// Reads it, or names every fault.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        env.read(Service::Bot, |reader| {
            let redis = RedisConfig::from_env(reader);
            let discord = DiscordBotConfig::from_env(reader);
            let lease = LeaseConfig::from_env(reader);
            let keys = EncryptionKeys::from_env(reader);
            let retries = RetrySchedule::from_env(reader);
            let health = HealthConfig::from_env(reader);
            let drain = DrainConfig::from_env(reader);
            let telemetry = TelemetryConfig::from_env(reader);
            Ok(Self {
                redis: redis?,
                discord: discord?,
                lease: lease?,
                keys: keys?,
                retries: retries?,
                health: health?,
                drain: drain?,
                telemetry: telemetry?,
                pace: Pace::default(),
            })
        })
    }
}
