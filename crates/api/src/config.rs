//! What the service reads from the environment, and the limits that nobody has to set.

use std::time::Duration;

use rolecall_runtime::{
    config::{
        DatabaseConfig, DiscordOauthConfig, DrainConfig, EncryptionKeys, HttpConfig, PolicyConfig,
        RedisConfig, SessionConfig, StripeConfig, StripeWebhookConfig, TelemetryConfig,
    },
    env::{Read, Reader},
};

/// Everything that the service needs to know.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Postgres.
    pub database: DatabaseConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// The listeners, the public address, and whom to believe.
    pub http: HttpConfig,
    /// How to call Stripe.
    pub stripe: StripeConfig,
    /// How to recognise Stripe's webhooks.
    pub webhooks: StripeWebhookConfig,
    /// How members sign in.
    pub discord: DiscordOauthConfig,
    /// What signs sessions.
    pub session: SessionConfig,
    /// What seals tokens.
    pub encryption: EncryptionKeys,
    /// How long access lasts after a failed payment, to count what a change of policy does.
    pub grace_period: Duration,
    /// Logs.
    pub telemetry: TelemetryConfig,
    /// How long a stop may take.
    pub drain: DrainConfig,
    /// Limits that are the same everywhere.
    pub limits: Limits,
}

impl ApiConfig {
    /// Reads every section, so that all faults are told at once.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let database = DatabaseConfig::from_env(reader);
        let redis = RedisConfig::from_env(reader);
        let http = HttpConfig::from_env(reader);
        let stripe = StripeConfig::from_env(reader);
        let webhooks = StripeWebhookConfig::from_env(reader);
        let discord = DiscordOauthConfig::from_env(reader);
        let session = SessionConfig::from_env(reader);
        let encryption = EncryptionKeys::from_env(reader);
        let grace_period = PolicyConfig::grace_period_from_env(reader);
        let telemetry = TelemetryConfig::from_env(reader);
        let drain = DrainConfig::from_env(reader);
        Ok(Self {
            database: database?,
            redis: redis?,
            http: http?,
            stripe: stripe?,
            webhooks: webhooks?,
            discord: discord?,
            session: session?,
            encryption: encryption?,
            grace_period: grace_period?,
            telemetry: telemetry?,
            drain: drain?,
            limits: Limits::default(),
        })
    }
}

/// How much of something one client may have. Constants for everybody but tests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the body of a webhook may take to arrive. Stripe itself gives up sooner.
    pub webhook_body_timeout: Duration,
    /// How many bytes of webhooks that are still arriving the process keeps.
    pub webhook_body_room: usize,
    /// How long any other body may take to arrive: the longest has a few fields.
    pub body_timeout: Duration,
    /// Sign-ins (two requests each) and refreshes of one client address a minute. A launch may come from one
    /// office, or from one address that a provider shares among thousands; what is limited is work of ours, and cheap.
    pub sign_ins_per_minute: u32,
    /// Purchases and other calls that reach Stripe or Discord, of one client address a minute.
    pub purchases_per_minute: u32,
    /// Live streams of the whole process.
    pub streams: usize,
    /// Live streams of one person.
    pub streams_per_member: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            webhook_body_timeout: Duration::from_secs(15),
            webhook_body_room: 32 * 1024 * 1024,
            body_timeout: Duration::from_secs(15),
            sign_ins_per_minute: 1200,
            purchases_per_minute: 600,
            streams: 4096,
            streams_per_member: 8,
        }
    }
}
