//! What a simulator starts with: the application, its people and servers, limits and gateway rules.

use std::{net::SocketAddr, time::Duration};

use crate::{
    clock::Clock,
    discord::limits::rules::{self, LimitRule},
};

/// Everything a [`Simulator`](crate::discord::Simulator) starts with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The simulator's time is its wall: audit log, code and token expiry. Rate limit windows and
    /// everything on the gateway use real time.
    pub clock: Clock,
    /// The one application that exists.
    pub application: ApplicationSeed,
    /// People who exist from the start.
    pub users: Vec<UserSeed>,
    /// Servers that exist from the start. The bot is a member of each.
    pub guilds: Vec<GuildSeed>,
    /// Rate limits.
    pub limits: LimitsConfig,
    /// Rules of the gateway.
    pub gateway: GatewayConfig,
}

/// The application with its bot.
#[derive(Debug, Clone)]
pub struct ApplicationSeed {
    /// The client id, which is also the bot's user id.
    pub client_id: u64,
    /// The OAuth client secret.
    pub client_secret: String,
    /// The application's name, which is also the bot's.
    pub name: String,
    /// The bot token.
    pub bot_token: String,
    /// Redirect URIs as registered; a request must match one exactly.
    pub redirect_uris: Vec<String>,
    /// The privileged intents switched on in the developer portal.
    pub privileged_intents: PrivilegedIntents,
}

/// The three switches of the developer portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct PrivilegedIntents {
    /// `GUILD_MEMBERS`.
    #[serde(default)]
    pub members: bool,
    /// `GUILD_PRESENCES`.
    #[serde(default)]
    pub presences: bool,
    /// `MESSAGE_CONTENT`.
    #[serde(default)]
    pub message_content: bool,
}

/// A person.
#[derive(Debug, Clone)]
pub struct UserSeed {
    /// The user id.
    pub id: u64,
    /// The unique name.
    pub username: String,
    /// The name shown.
    pub global_name: Option<String>,
    /// The e-mail address, if there is one.
    pub email: Option<String>,
    /// Whether the address is confirmed.
    pub verified: bool,
}

/// A server.
#[derive(Debug, Clone)]
pub struct GuildSeed {
    /// The guild id; the `@everyone` role has the same.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The owner's user id; need not be a member.
    pub owner: u64,
    /// Roles above `@everyone`, the lowest first.
    pub roles: Vec<RoleSeed>,
    /// The bot's roles in this guild.
    pub bot_roles: Vec<u64>,
    /// Members besides the bot, each with their roles.
    pub members: Vec<(u64, Vec<u64>)>,
    /// Text channels, by id and name.
    pub channels: Vec<(u64, String)>,
    /// Whether new members must accept the rules first.
    pub membership_screening: bool,
}

/// A role.
#[derive(Debug, Clone)]
pub struct RoleSeed {
    /// The role id.
    pub id: u64,
    /// The name.
    pub name: String,
    /// The colour as `0xRRGGBB`.
    pub color: u32,
    /// The permission bits.
    pub permissions: u64,
    /// Whether an integration owns it, so that nobody can give it.
    pub managed: bool,
}

/// Rate limits.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Requests per second of one token over all routes.
    pub global_per_second: u32,
    /// Buckets; the first rule that names a route wins.
    pub rules: Vec<LimitRule>,
    /// 401, 403 and 429 answers in ten minutes that lead to a ban.
    pub invalid_requests: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            global_per_second: 50,
            rules: rules::discord_defaults(),
            invalid_requests: 10_000,
        }
    }
}

/// Rules of the gateway.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// What HELLO asks for.
    pub heartbeat_interval: Duration,
    /// IDENTIFYs per 24 hours.
    pub identify_total: u32,
    /// Least time between two IDENTIFYs of one concurrency key; zero switches the rule off.
    pub identify_interval: Duration,
    /// How long a session can be resumed after its connection ended.
    pub session_lifetime: Duration,
    /// Missed events kept for a RESUME.
    pub replay_events: usize,
    /// Payloads a connection may send per minute.
    pub sends_per_minute: u32,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(41_250),
            identify_total: 1_000,
            identify_interval: Duration::from_secs(5),
            session_lifetime: Duration::from_mins(5),
            replay_events: 10_000,
            sends_per_minute: 120,
        }
    }
}
