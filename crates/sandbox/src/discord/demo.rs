//! The seed of the demo: one server with the roles that Rolecall plays with, and four people.

use std::net::SocketAddr;

use crate::{
    clock::Clock,
    discord::{
        config::{
            ApplicationSeed, Config, GatewayConfig, GuildSeed, LimitsConfig, PrivilegedIntents, RoleSeed,
            UserSeed,
        },
        state::permissions::{CREATE_INSTANT_INVITE, EVERYONE, MANAGE_GUILD, MANAGE_ROLES},
    },
};

/// The application, and the bot's user id.
pub const CLIENT_ID: u64 = 1_100_000_000_000_000_000;
/// The OAuth client secret.
pub const CLIENT_SECRET: &str = "demo-client-secret-for-the-simulator";
/// The bot token.
pub const BOT_TOKEN: &str = "MTEwMDAwMDAwMDAwMDAwMDAwMA.Sandbx.simulated-bot-token";
/// The server "The Revenue Council".
pub const GUILD: u64 = 1_100_000_000_000_000_001;
/// The role of those who pay.
pub const COUNCIL_ROLE: u64 = 1_100_000_000_000_000_011;
/// The role of those whose payment is overdue.
pub const DEBTOR_ROLE: u64 = 1_100_000_000_000_000_012;
/// The role of those who introduced themselves.
pub const INTRODUCED_ROLE: u64 = 1_100_000_000_000_000_013;
/// The role of the community's staff.
pub const STAFF_ROLE: u64 = 1_100_000_000_000_000_014;
/// The bot's own role, above the others.
pub const BOT_ROLE: u64 = 1_100_000_000_000_000_015;
/// The channel `#introductions`.
pub const INTRODUCTIONS_CHANNEL: u64 = 1_100_000_000_000_000_022;
/// Olive, who owns the server.
pub const OWNER: u64 = 1_100_000_000_000_000_101;

const GENERAL_CHANNEL: u64 = 1_100_000_000_000_000_021;

impl Config {
    /// The demo's world: the application may send people back to `redirect_uris`.
    pub fn demo(listen: SocketAddr, clock: Clock, redirect_uris: Vec<String>) -> Self {
        Self {
            listen,
            clock,
            application: ApplicationSeed {
                client_id: CLIENT_ID,
                client_secret: CLIENT_SECRET.to_owned(),
                name: "Rolecall".to_owned(),
                bot_token: BOT_TOKEN.to_owned(),
                redirect_uris,
                privileged_intents: PrivilegedIntents {
                    members: true,
                    ..PrivilegedIntents::default()
                },
            },
            users: users(),
            guilds: vec![guild()],
            limits: LimitsConfig::default(),
            gateway: GatewayConfig::default(),
        }
    }
}

fn users() -> Vec<UserSeed> {
    [
        (OWNER, "olive", "Olive Owner", "olive@example.test", true),
        (OWNER + 1, "ada", "Ada Archer", "ada@example.test", true),
        (OWNER + 2, "ben", "Ben Baker", "ben@example.test", true),
        (OWNER + 3, "uma", "Uma Unverified", "uma@example.test", false),
    ]
    .into_iter()
    .map(|(id, username, name, email, verified)| UserSeed {
        id,
        username: username.to_owned(),
        global_name: Some(name.to_owned()),
        email: Some(email.to_owned()),
        verified,
    })
    .collect()
}

fn guild() -> GuildSeed {
    GuildSeed {
        id: GUILD,
        name: "The Revenue Council".to_owned(),
        owner: OWNER,
        roles: vec![
            role(COUNCIL_ROLE, "Council", 0x57_9d_ff, 0),
            role(DEBTOR_ROLE, "Debtor", 0xe0_6c_5a, 0),
            role(INTRODUCED_ROLE, "Introduced", 0x6f_c2_8b, 0),
            role(STAFF_ROLE, "Staff", 0xd9_a8_4e, MANAGE_GUILD | MANAGE_ROLES),
            RoleSeed {
                managed: true,
                ..role(BOT_ROLE, "Rolecall", 0xa0_8c_f0, bot_permissions())
            },
        ],
        bot_roles: vec![BOT_ROLE],
        members: vec![(OWNER, vec![STAFF_ROLE])],
        channels: vec![
            (GENERAL_CHANNEL, "general".to_owned()),
            (INTRODUCTIONS_CHANNEL, "introductions".to_owned()),
        ],
        membership_screening: false,
    }
}

const fn bot_permissions() -> u64 {
    EVERYONE | MANAGE_ROLES | CREATE_INSTANT_INVITE
}

fn role(id: u64, name: &str, color: u32, permissions: u64) -> RoleSeed {
    RoleSeed {
        id,
        name: name.to_owned(),
        color,
        permissions,
        managed: false,
    }
}
