//! What the whole process shares, leading or not.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rolecall_discord::{
    limiter::Limiter,
    rest::{BotClient, BotConfig as ClientConfig},
};
use rolecall_domain::clock::{Clock, Rng, random_bytes};
use rolecall_queue::{Documents, Link, LinkOptions, Producer, RetrySchedule};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    config::Intent,
    seal::Sealer,
    shutdown::{Shutdown, Tasks},
};
use secrecy::ExposeSecret;

use crate::{
    catalog::Catalog,
    config::BotConfig,
    metrics::Metrics,
    outage::Outage,
    status::{Status, TOKEN_REFUSED},
    world::{SavedSession, World},
};

/// What the whole process shares.
#[derive(Debug)]
pub(crate) struct Bot {
    /// Names this process among all that ever were.
    pub(crate) name: String,
    pub(crate) config: BotConfig,
    pub(crate) link: Link,
    pub(crate) producer: Producer,
    pub(crate) documents: Documents,
    pub(crate) client: Arc<BotClient>,
    pub(crate) sealer: Sealer,
    pub(crate) schedule: RetrySchedule,
    /// The events asked for.
    pub(crate) intents: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) world: Arc<World>,
    pub(crate) status: Arc<Status>,
    pub(crate) outage: Arc<Outage>,
    /// The session of our last term, should Redis forget it.
    last_session: Mutex<Option<SavedSession>>,
    pub(crate) metrics: Metrics,
    pub(crate) queue_metrics: rolecall_queue::Metrics,
    pub(crate) tasks: Tasks,
    pub(crate) shutdown: Shutdown,
}

impl Bot {
    /// Puts it together; touches no network.
    pub(crate) fn new(
        config: BotConfig,
        registry: &prometheus::Registry,
        tasks: Tasks,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let rng: Arc<dyn Rng> = Arc::new(SystemRng);
        let link = Link::new(
            config.redis.url.expose_secret(),
            &config.redis.namespace,
            LinkOptions::default(),
        )?;
        let documents = Documents::new(&link);
        let catalog = Arc::new(Catalog::new(documents.clone()));
        let sees_members = config.discord.intents.contains(&Intent::GuildMembers);
        let client = ClientConfig {
            origin: config.discord.api_base.join("/"),
            token: config.discord.token.clone(),
        };
        Ok(Self {
            name: format!(
                "bot-{}-{:016x}",
                std::process::id(),
                u64::from_be_bytes(random_bytes(&*rng))
            ),
            producer: Producer::new(&link),
            client: Arc::new(
                BotClient::new(&client, Limiter::default()).context("prepare the calls to Discord")?,
            ),
            sealer: Sealer::new(&config.keys),
            schedule: RetrySchedule::new(config.retries.waits().to_vec())?,
            intents: config.discord.intent_bits(),
            world: Arc::new(World::new(
                &catalog,
                &clock,
                config.discord.guild_id,
                sees_members,
            )),
            status: Arc::default(),
            outage: Arc::default(),
            last_session: Mutex::default(),
            metrics: Metrics::register(registry)?,
            queue_metrics: rolecall_queue::Metrics::register(registry)?,
            documents,
            catalog,
            clock,
            rng,
            link,
            config,
            tasks,
            shutdown,
        })
    }

    /// Whether calls to Discord work, in words.
    pub(crate) fn rest_report(&self) -> Result<String, String> {
        if self.client.token().is_refused() {
            return Err(TOKEN_REFUSED.to_owned());
        }
        let report = self.status.rest_report();
        let Some(since) = self.outage.since() else {
            return report;
        };
        let last = report.err().unwrap_or_else(|| "no answer".to_owned());
        let since = since.format("%Y-%m-%d %H:%M UTC");
        Err(format!("Discord answers no call since {since}, at last: {last}"))
    }

    /// The session of our last term.
    pub(crate) fn own_session(&self) -> Option<SavedSession> {
        self.last_session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets the servers, but not the session: nobody else may have taken it up.
    pub(crate) fn end_term(&self) {
        let session = self.world.session_to_save();
        *self.last_session.lock().unwrap_or_else(PoisonError::into_inner) = session;
        self.world.reset();
    }
}
