//! A bot, run as a process would run it.

use std::net::{SocketAddr, TcpListener};

use rolecall_bot::config::BotConfig;
use rolecall_runtime::{env::Env, shutdown::Shutdown};
use rolecall_sandbox::discord::{
    Simulator,
    demo::{BOT_TOKEN, GUILD},
};
use serde_json::Value;
use tokio::{runtime::Runtime, task::JoinHandle};

use crate::support::{RedisServer, redis::NAMESPACE, soon};

/// The key under which tokens are sealed.
pub(crate) const KEYS: &str = "k1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A bot in a runtime of its own, whose end is as sudden as that of a process.
pub(crate) struct Bot {
    shutdown: Shutdown,
    runtime: Option<Runtime>,
    task: Option<JoinHandle<anyhow::Result<()>>>,
    health: SocketAddr,
}

impl Bot {
    pub(crate) fn start(redis: &RedisServer, discord: &Simulator, more: &[(&str, &str)]) -> Self {
        Self::start_with(redis, discord, more, |_| {})
    }

    /// A bot that is configured as no environment can.
    pub(crate) fn start_with(
        redis: &RedisServer,
        discord: &Simulator,
        more: &[(&str, &str)],
        change: impl FnOnce(&mut BotConfig),
    ) -> Self {
        let env = Env::from_pairs([
            ("REDIS_URL", redis.url().as_str()),
            ("REDIS_NAMESPACE", NAMESPACE),
            ("DISCORD_BOT_TOKEN", BOT_TOKEN),
            ("DISCORD_GUILD_ID", &GUILD.to_string()),
            ("DISCORD_API_BASE", &discord.origin()),
            ("ENCRYPTION_KEYS", KEYS),
            ("JOB_RETRY_SCHEDULE", "50ms,100ms,200ms"),
            ("DRAIN_TIMEOUT", "10s"),
        ]);
        let env = more
            .iter()
            .fold(env, |env, (name, value)| env.with(*name, *value));
        let mut config = BotConfig::from_env(&env).unwrap();
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let health = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let task = runtime.spawn(rolecall_bot::run(config, listener, shutdown.clone()));
        Self {
            shutdown,
            runtime: Some(runtime),
            task: Some(task),
            health,
        }
    }

    /// What `/ready` says.
    pub(crate) async fn ready(&self) -> Value {
        let url = format!("http://{}/ready", self.health);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// The status of `/ready`.
    pub(crate) async fn ready_status(&self) -> u16 {
        reqwest::get(format!("http://{}/ready", self.health))
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    pub(crate) async fn metrics(&self) -> String {
        reqwest::get(format!("http://{}/metrics", self.health))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    pub(crate) async fn role(&self) -> String {
        self.ready().await["role"].as_str().unwrap_or_default().to_owned()
    }

    /// Ends it as `kill -9` does: nobody is told.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Stops it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        self.shutdown.drain();
        soon(self.task.take().unwrap()).await.unwrap().unwrap();
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
