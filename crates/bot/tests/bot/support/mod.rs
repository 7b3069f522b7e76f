//! A private Redis, a simulated Discord, bots, and the worker's end of the queues.

mod bot;
mod redis;
mod worker;

use std::{collections::BTreeSet, time::Duration};

use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use rolecall_queue::{
    Documents,
    catalog::{CATALOG, CatalogDocument, CatalogGuild},
    jobs::{ApplyRoles, Lane},
};
use rolecall_sandbox::{
    clock::Clock,
    discord::{
        Config, Simulator,
        config::PrivilegedIntents,
        demo::{COUNCIL_ROLE, DEBTOR_ROLE, GUILD, INTRODUCED_ROLE, OWNER},
        gateway::log::GatewayStep,
    },
};

pub(crate) use crate::support::{
    bot::{Bot, KEYS},
    redis::RedisServer,
    worker::{Seen, Worker},
};

/// What is waited for has to happen within this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(50);

pub(crate) const REDIRECT: &str = "http://localhost/auth/discord/callback";

/// People of the demo who are not in the server.
pub(crate) const ADA: u64 = OWNER + 1;

/// Waits for something that has to happen.
#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let result = tokio::time::timeout(PATIENCE, future).await;
        result.unwrap_or_else(|_| panic!("waited in vain at {caller}"))
    }
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub(crate) fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) -> impl Future<Output = ()> {
    soon(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while !condition().await {
            ticks.tick().await;
        }
    })
}

pub(crate) fn role(id: u64) -> RoleId {
    RoleId::new(id).unwrap()
}

pub(crate) fn user(id: u64) -> DiscordUserId {
    DiscordUserId::new(id).unwrap()
}

pub(crate) fn guild() -> GuildId {
    GuildId::new(GUILD).unwrap()
}

/// A command for somebody in the demo's server.
pub(crate) fn command(who: u64, revision: i64, add: &[u64], remove: &[u64]) -> ApplyRoles {
    ApplyRoles {
        guild_id: guild(),
        user_id: user(who),
        add: add.iter().copied().map(role).collect(),
        remove: remove.iter().copied().map(role).collect(),
        revision,
        lane: Lane::Now,
        reason: "paid".to_owned(),
        join: None,
        probe: false,
        kick: None,
    }
}

/// Everything a test needs.
pub(crate) struct Rig {
    pub(crate) redis: RedisServer,
    pub(crate) discord: Simulator,
    pub(crate) worker: Worker,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A rig whose Discord is set up differently.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let redis = RedisServer::start().await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = Config::demo(listen, Clock::system(), vec![REDIRECT.to_owned()]);
        config.gateway.identify_interval = Duration::ZERO;
        change(&mut config);
        let discord = Simulator::start(config).await.unwrap();
        let worker = Worker::start(&redis);
        let rig = Self {
            redis,
            discord,
            worker,
        };
        rig.publish_catalog(1, &[COUNCIL_ROLE, DEBTOR_ROLE, INTRODUCED_ROLE])
            .await;
        rig
    }

    pub(crate) async fn publish_catalog(&self, version: i64, mapped: &[u64]) {
        self.publish(version, mapped, &[], false).await;
    }

    /// Publishes the catalog of an owner who chose that the end of a plan removes people, or not.
    pub(crate) async fn publish(&self, version: i64, mapped: &[u64], retired: &[u64], removes_people: bool) {
        let server = CatalogGuild {
            guild_id: guild(),
            mapped_roles: mapped.iter().copied().map(role).collect(),
            retired_roles: retired.iter().copied().map(role).collect(),
            debtor_role: None,
            introduced_role: None,
            introductions_channel: None,
            alumni_role: None,
            removes_people,
        };
        let catalog = CatalogDocument {
            version,
            guilds: vec![server],
        };
        Documents::new(&self.redis.link())
            .set(CATALOG, &catalog)
            .await
            .unwrap();
    }

    /// A bot that has a gateway session.
    pub(crate) async fn bot(&self) -> Bot {
        self.bot_with_ttl("10s").await
    }

    /// The same, whose lease outlives it by this long.
    pub(crate) async fn bot_with_ttl(&self, lease_ttl: &str) -> Bot {
        let bot = self.idle_bot(lease_ttl);
        soon(
            self.discord
                .wait_until(|discord| discord.gateway().sessions.iter().any(|session| session.connected)),
        )
        .await;
        until(async || bot.ready().await["parts"]["gateway"]["ok"] == true).await;
        bot
    }

    /// A bot that may lead or stand by.
    pub(crate) fn idle_bot(&self, lease_ttl: &str) -> Bot {
        Bot::start(&self.redis, &self.discord, &[("LEASE_TTL", lease_ttl)])
    }

    /// Somebody new in the server.
    pub(crate) fn member(&self, name: &str) -> u64 {
        let who = self.discord.add_user(name, None, false).unwrap();
        self.discord.join(GUILD, who).unwrap();
        who
    }

    pub(crate) fn roles_of(&self, who: u64) -> BTreeSet<u64> {
        self.discord
            .member_roles(GUILD, who)
            .unwrap()
            .into_iter()
            .collect()
    }

    /// Requests so far whose path contains `path`, by method.
    pub(crate) fn requests(&self, method: &str, path: &str) -> usize {
        let requests = self.discord.requests();
        requests
            .iter()
            .filter(|entry| entry.method == method && entry.path.contains(path))
            .count()
    }

    /// Role writes for somebody so far.
    pub(crate) fn writes(&self, who: u64) -> usize {
        let path = format!("/members/{who}/roles/");
        self.requests("PUT", &path) + self.requests("DELETE", &path)
    }

    pub(crate) fn steps(&self, which: impl Fn(&GatewayStep) -> bool) -> usize {
        self.discord
            .gateway()
            .log
            .iter()
            .filter(|entry| which(&entry.step))
            .count()
    }

    pub(crate) fn identified(&self) -> usize {
        self.steps(|step| matches!(step, GatewayStep::Identified { .. }))
    }

    pub(crate) fn resumed(&self) -> usize {
        self.steps(|step| matches!(step, GatewayStep::Resumed { .. }))
    }
}

/// The developer portal with its switches off.
pub(crate) fn no_intents(config: &mut Config) {
    config.application.privileged_intents = PrivilegedIntents::default();
}
