//! What has to be done again and again while leading: keep the session and the limiter's knowledge, read the
//! catalog, look at servers, try a refused token.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use rolecall_discord::{
    error::ErrorClass,
    limiter::{Lane, Snapshot},
};
use rolecall_domain::ids::GuildId;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep};

use crate::{
    gateway::SESSION,
    rest::{CallError, Person},
    status::TOKEN_REFUSED,
    term::Ctx,
    world::{Guild, SavedSession},
};

/// The document in which the limiter's knowledge is kept.
const LIMITER: &str = "bot:limiter";

const SAVE_SESSION: Duration = Duration::from_secs(1);
const SAVE_LIMITER: Duration = Duration::from_secs(10);
const READ_CATALOG: Duration = Duration::from_secs(2);
const LOOK_AT_SERVERS: Duration = Duration::from_hours(1);

/// After a failed look at a server.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Keeps things up for as long as the lease is held.
pub(crate) async fn run(ctx: Arc<Ctx>) -> Infallible {
    let mut session = interval(SAVE_SESSION);
    let mut catalog = interval(READ_CATALOG);
    let mut limiter = later(SAVE_LIMITER);
    let mut servers = later(LOOK_AT_SERVERS);
    let mut token = pin!(keep_trying_token(&ctx));
    for ticks in [&mut session, &mut catalog, &mut limiter, &mut servers] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let mut saved = None;
    let mut look_from = Instant::now();
    loop {
        tokio::select! {
            _ = session.tick() => {
                save_session(&ctx, &mut saved).await;
                if Instant::now() >= look_from && !look_at_servers(&ctx).await {
                    look_from = Instant::now() + LOOK_AGAIN;
                }
            }
            _ = catalog.tick() => read_catalog(&ctx).await,
            _ = limiter.tick() => save_limiter(&ctx).await,
            _ = servers.tick() => ctx.bot.world.doubt_all(),
            never = &mut token => match never {},
        }
    }
}

/// Keeps everything once more, at the end of a term.
pub(crate) async fn finish(ctx: &Ctx) {
    save_session(ctx, &mut None).await;
    save_limiter(ctx).await;
}

/// Takes over what the bot before us knew of Discord's limits.
pub(crate) async fn restore_limiter(ctx: &Ctx) {
    match ctx.bot.documents.get::<Snapshot>(LIMITER).await {
        Ok(Some(snapshot)) => ctx.bot.client.limiter().restore(&snapshot, ctx.bot.clock.now()),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "Discord's limits have to be learned again"),
    }
}

/// Reads the catalog, and shows the servers again if it has changed.
pub(crate) async fn read_catalog(ctx: &Ctx) {
    match ctx.bot.catalog.read().await {
        Ok(true) => ctx.bot.world.catalog_changed(),
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "the catalog could not be read"),
    }
}

fn later(period: Duration) -> tokio::time::Interval {
    interval_at(Instant::now() + period, period)
}

async fn save_session(ctx: &Ctx, saved: &mut Option<SavedSession>) {
    let session = ctx.bot.world.session_to_save();
    if session == *saved {
        return;
    }
    let documents = &ctx.bot.documents;
    let write = async {
        match &session {
            Some(session) => documents.set(SESSION, session).await,
            None => documents.delete(SESSION).await,
        }
    };
    // Only a holder may: the next one has a newer session.
    match ctx.guard.run(write).await {
        Ok(Ok(())) => *saved = session,
        Ok(Err(error)) => tracing::debug!(%error, "the gateway session could not be kept"),
        Err(_) => {}
    }
}

async fn save_limiter(ctx: &Ctx) {
    let snapshot = ctx.bot.client.limiter().snapshot(ctx.bot.clock.now());
    if let Ok(Err(error)) = ctx.guard.run(ctx.bot.documents.set(LIMITER, &snapshot)).await {
        tracing::debug!(%error, "Discord's limits could not be kept");
    }
}

/// Says once that the token is refused, however many calls find that out, and tries it now and then until Discord
/// takes it again.
async fn keep_trying_token(ctx: &Ctx) -> Infallible {
    let token = ctx.bot.client.token();
    loop {
        token.refused().await;
        tracing::error!("{TOKEN_REFUSED}");
        while token.is_refused() {
            sleep(ctx.bot.config.pace.token).await;
            if let Err(CallError::Discord(error)) = ctx.rest.try_token().await {
                tracing::debug!(%error, "the token could not be tried");
            }
        }
        tracing::info!("Discord takes the bot token again");
    }
}

/// Looks at the servers that have to be looked at. Whether it worked.
async fn look_at_servers(ctx: &Ctx) -> bool {
    let mut worked = true;
    for guild_id in ctx.bot.world.to_look_at() {
        let changes = ctx.bot.world.changes();
        match look_at(ctx, guild_id).await {
            Ok(guild) => ctx.bot.world.looked_at(guild_id, guild, changes),
            Err(error) => {
                tracing::debug!(guild.id = %guild_id, %error, "a server could not be looked at");
                ctx.bot.world.doubt(guild_id);
                worked = false;
            }
        }
    }
    worked
}

/// A server by REST; `None` if the bot is not in it.
pub(crate) async fn look_at(ctx: &Ctx, guild_id: GuildId) -> Result<Option<Guild>, CallError> {
    let guild = match ctx.rest.guild(guild_id).await {
        Ok(guild) => guild,
        Err(CallError::Discord(error))
            if matches!(
                error.class(),
                ErrorClass::UnknownGuild | ErrorClass::MissingPermission { .. }
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let user_id = match ctx.bot.world.bot() {
        Some(bot) => bot,
        None => ctx.rest.own_id().await?,
    };
    let member = ctx.rest.member(Person { guild_id, user_id }, Lane::Now).await?;
    Ok(member.map(|member| Guild::new(guild.name, guild.roles, Some(member.roles))))
}
