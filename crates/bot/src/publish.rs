//! Tells the worker what was seen: one fact after the other, each until Redis has it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{
    Job, Push, PushError,
    jobs::{MemberJoined, MemberLeft, MemberRolesChanged},
};
use rolecall_runtime::trace::Traceparent;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    term::Ctx,
    world::{Fact, Next, Subject, Ticket},
};

/// Between two tries while Redis is away.
const RETRY: Duration = Duration::from_millis(500);

/// Publishes for as long as the lease is held.
pub(crate) async fn run(ctx: Arc<Ctx>) -> Infallible {
    let world = &ctx.bot.world;
    loop {
        match world.next_fact() {
            Next::Nothing => world.stirred.notified().await,
            Next::At(at) => tokio::select! {
                () = sleep_until(Instant::from_std(at)) => {}
                () = world.stirred.notified() => {}
            },
            Next::Now(ticket) => publish(&ctx, &ticket).await,
        }
    }
}

/// Publishes what is left, if that is possible without delay.
pub(crate) async fn flush(ctx: &Ctx) {
    while let Next::Now(ticket) = ctx.bot.world.next_fact() {
        if tell(ctx, &ticket).await.is_err() {
            return;
        }
        ctx.bot.world.published();
    }
}

async fn publish(ctx: &Ctx, ticket: &Ticket) {
    match tell(ctx, ticket).await {
        Ok(()) => {
            ctx.bot.metrics.events.inc();
            ctx.bot.world.published();
        }
        Err(error) => {
            if !error.is_transient() {
                tracing::error!(%error, "what was seen in Discord could not be told");
            }
            sleep(RETRY).await;
        }
    }
}

async fn tell(ctx: &Ctx, ticket: &Ticket) -> Result<(), PushError> {
    match (ticket.subject, &ticket.fact) {
        (Subject::Guild(guild_id), Fact::Guild { identified }) => {
            match ctx.bot.world.observed(guild_id, *identified) {
                Some(observed) => push(ctx, ticket, &observed).await,
                // It is told when it is known.
                None => Ok(()),
            }
        }
        (Subject::Member((guild_id, user_id)), Fact::Joined(presence)) => {
            let roles = presence.roles.iter().copied().collect();
            push(
                ctx,
                ticket,
                &MemberJoined {
                    guild_id,
                    user_id,
                    roles,
                    pending: presence.pending,
                },
            )
            .await
        }
        (Subject::Member((guild_id, user_id)), Fact::Changed(presence)) => {
            let roles = presence.roles.iter().copied().collect();
            push(
                ctx,
                ticket,
                &MemberRolesChanged {
                    guild_id,
                    user_id,
                    roles,
                    pending: presence.pending,
                },
            )
            .await
        }
        (Subject::Member((guild_id, user_id)), Fact::Left) => {
            push(ctx, ticket, &MemberLeft { guild_id, user_id }).await
        }
        (Subject::Guild(_), _) | (Subject::Member(_), Fact::Guild { .. }) => Ok(()),
    }
}

async fn push<J: Job>(ctx: &Ctx, ticket: &Ticket, job: &J) -> Result<(), PushError> {
    let bot = &ctx.bot;
    let now = bot.clock.now();
    let push = Push {
        traceparent: Some(Traceparent::new_root(&*bot.rng).to_string()),
        ..Push::new(ticket.seen_at.unwrap_or(now), uuid_v7(now, &*bot.rng))
    };
    match ctx.guard.run(bot.producer.push(job, push)).await {
        Ok(pushed) => pushed.map(drop),
        // The next holder hears of it: the session was saved without it.
        Err(_) => std::future::pending().await,
    }
}
