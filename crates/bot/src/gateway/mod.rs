//! The gateway session: carried by one connection after the other, resumed wherever possible, begun anew only when
//! there is no other way and the day's budget allows it.

mod backoff;
pub(crate) mod cause;
mod clearance;
mod close;
mod connection;
pub(crate) mod event;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use twilight_gateway::{Config, ConfigBuilder, Session, Shard, ShardId};
use twilight_model::gateway::{Intents, payload::outgoing::identify::IdentifyProperties};

use crate::{
    gateway::{
        backoff::{Backoff, Past},
        cause::Cause,
        close::Fatal,
        connection::{Connection, End},
    },
    rest::CallError,
    status::Phase,
    term::Ctx,
    world::SavedSession,
};

/// The document in which the session is kept.
pub(crate) const SESSION: &str = "bot:session";

/// How often it is looked whether somebody has mended what only they can.
const RECHECK: Duration = Duration::from_mins(5);

/// Discord allows one IDENTIFY in this time.
const BETWEEN_IDENTIFIES: Duration = Duration::from_secs(5);

/// A RESUME that was so often left without an answer is given up for a new session.
const UNANSWERED_RESUMES: u32 = 3;

/// Closes after which a session cannot be resumed: not authenticated, invalid sequence, timed out.
const SESSION_ENDED: [u16; 3] = [4003, 4007, 4009];

/// The session between connections.
struct Gateway {
    ctx: Arc<Ctx>,
    config: Config,
    /// Where to connect without a resume address.
    address: Option<String>,
    session: Option<Session>,
    resume_url: Option<String>,
    identified_at: Option<Instant>,
    /// RESUMEs in a row that Discord left without an answer.
    unanswered: u32,
}

/// Carries the session until told to stop, or until the lease is lost.
pub(crate) async fn run(ctx: Arc<Ctx>, stop: CancellationToken) {
    let mut gateway = Gateway::new(ctx);
    if stop.run_until_cancelled(gateway.find_session()).await.is_some() {
        gateway.carry(&stop).await;
    }
}

impl Gateway {
    fn new(ctx: Arc<Ctx>) -> Self {
        let token = ctx.bot.config.discord.token.expose_secret().to_owned();
        let config = ConfigBuilder::new(token, Intents::from_bits_retain(ctx.bot.intents))
            .identify_properties(IdentifyProperties::new(
                "rolecall",
                "rolecall",
                std::env::consts::OS,
            ))
            .build();
        let address = ctx
            .bot
            .config
            .discord
            .gateway_url
            .as_ref()
            .map(|url| url.as_str().trim_end_matches('/').to_owned());
        Self {
            ctx,
            config,
            address,
            session: None,
            resume_url: None,
            identified_at: None,
            unanswered: 0,
        }
    }

    /// The session that the bot before us left, if it asked for the same events.
    async fn find_session(&mut self) {
        let found = loop {
            match self.ctx.bot.documents.get::<SavedSession>(SESSION).await {
                Ok(saved) => break saved,
                Err(rolecall_queue::DocumentError::Json { .. }) => break None,
                Err(rolecall_queue::DocumentError::Redis(_)) => sleep(Duration::from_secs(1)).await,
            }
        };
        let saved = found.or_else(|| {
            // Redis may have lost it together with the lease, and then not only that.
            let own = self.ctx.bot.own_session()?;
            self.ctx.bot.world.redis_forgot();
            Some(own)
        });
        if let Some(saved) = saved.filter(|saved| saved.intents == self.ctx.bot.intents) {
            tracing::info!("found a gateway session to resume");
            self.session = Some(Session::new(saved.sequence, saved.id.clone()));
            self.resume_url = Some(saved.resume_url.clone());
            self.ctx.bot.world.session_found(saved);
        }
    }

    async fn carry(&mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        let mut first = true;
        loop {
            if stop
                .run_until_cancelled(self.wait_for_clearance())
                .await
                .is_none()
            {
                return;
            }
            if !std::mem::take(&mut first) {
                self.ctx.bot.metrics.reconnects.inc();
            }
            self.ctx.bot.status.set_phase(Phase::Connecting);
            let (end, past) = self.connect(stop).await;
            let bot = &self.ctx.bot;
            bot.world.disconnected();
            let wait = backoff.after(past, &bot.config.pace, &*bot.rng);
            let pause = async {
                match end {
                    End::Stopped => {}
                    End::Lost(cause) => {
                        bot.metrics.gateway_ended(cause);
                        bot.status.lost(cause, bot.clock.now(), wait);
                    }
                    End::Fatal(fatal) => self.wait_for_mending(fatal).await,
                }
                sleep(wait).await;
            };
            if end == End::Stopped || stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// One connection. Afterwards the session is what is left of it.
    async fn connect(&mut self, stop: &CancellationToken) -> (End, Past) {
        let begun = Instant::now();
        let address = self.address.clone().unwrap_or_default();
        let mut config = ConfigBuilder::from(self.config.clone()).proxy_url(address);
        match self.session.take() {
            Some(session) => config = config.session(session),
            None => self.identified_at = Some(Instant::now()),
        }
        if let Some(resume_url) = self.resume_url.take() {
            config = config.resume_url(resume_url.trim_end_matches('/').to_owned());
        }
        let shard = Shard::with_config(ShardId::ONE, config.build());
        let ctx = Arc::clone(&self.ctx);
        let mut connection = Connection::new(&ctx, shard, stop);
        let end = connection.run().await;
        self.unanswered = match end {
            // Nothing was asked: that is done only after a HELLO.
            End::Lost(_) if !connection.is_greeted() => self.unanswered,
            End::Lost(Cause::NoSession | Cause::Zombie | Cause::Broken) if !connection.is_live() => {
                self.unanswered.saturating_add(1)
            }
            _ => 0,
        };
        let is_over = self.unanswered >= UNANSWERED_RESUMES
            || connection
                .close_code
                .is_some_and(|code| SESSION_ENDED.contains(&code));
        self.session = connection.shard.session().filter(|_| !is_over).cloned();
        self.resume_url = connection
            .shard
            .resume_url()
            .filter(|_| !is_over)
            .map(str::to_owned);
        if self.session.is_none() && end != End::Stopped {
            self.ctx.bot.world.session_ended();
        }
        let past = Past {
            lasted: begun.elapsed(),
            proven: connection.is_proven(),
            resumes: self.session.is_some(),
        };
        (end, past)
    }

    /// Waits until somebody has done what only they can do. No connection is tried meanwhile: each would fail, and
    /// cost one of a thousand a day.
    async fn wait_for_mending(&self, fatal: Fatal) {
        tracing::error!("{}", fatal.fix());
        self.ctx.bot.status.set_phase(Phase::Broken(fatal.fix()));
        match fatal {
            Fatal::PrivilegedIntents => {
                while !self.may_use_intents().await {
                    sleep(RECHECK).await;
                }
            }
            Fatal::Token => {
                // The upkeep tries the token every few minutes.
                let token = self.ctx.bot.client.token();
                token.refuse();
                token.accepted().await;
            }
            Fatal::Shards(_) | Fatal::Version | Fatal::Intents | Fatal::Other(_) => {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether the privileged intents that we ask for are switched on in the developer portal.
    async fn may_use_intents(&self) -> bool {
        let application = match self.ctx.rest.current_application().await {
            Ok(application) => application,
            Err(CallError::LeaseLost(_) | CallError::TokenRefused) => return false,
            Err(CallError::Discord(error)) => {
                tracing::debug!(%error, "the application could not be read");
                return false;
            }
        };
        let asked = Intents::from_bits_retain(self.ctx.bot.intents);
        let has_presences = application.flags & (1 << 12 | 1 << 13) != 0;
        (!asked.contains(Intents::GUILD_MEMBERS) || application.has_guild_members_intent())
            && (!asked.contains(Intents::MESSAGE_CONTENT) || application.has_message_content_intent())
            && (!asked.contains(Intents::GUILD_PRESENCES) || has_presences)
    }
}
