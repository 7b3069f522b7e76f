//! The configuration, one section a file. A service composes the sections that it needs.

mod app;
mod database;
mod discord_bot;
mod discord_oauth;
mod drain;
mod encryption;
pub(crate) mod given;
mod http;
mod jobs;
mod mail;
mod network;
mod origin;
mod policy;
mod redis;
mod session;
mod stripe;
mod telemetry;

pub use app::AppEnv;
pub use database::{DatabaseConfig, Pooler};
pub use discord_bot::{DiscordBotConfig, Intent, LeaseConfig};
pub use discord_oauth::{DiscordApiConfig, DiscordOauthConfig};
pub use drain::DrainConfig;
pub use encryption::{EncryptionKey, EncryptionKeys};
pub use http::{HealthConfig, HttpConfig, public_url_if_set};
pub use jobs::{JobsConfig, RetrySchedule};
pub use mail::MailConfig;
pub use network::{IpNetwork, is_private};
pub use origin::Origin;
pub use policy::{InviteConfig, PolicyConfig};
pub use redis::RedisConfig;
pub use session::SessionConfig;
pub use stripe::{StripeConfig, StripeMode, StripeWebhookConfig};
pub use telemetry::{LogFormat, TelemetryConfig};
