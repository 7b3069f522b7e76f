//! Direct messages: write what the worker owes somebody, and report.
//!
//! The worker hands a message on again when it has not heard of it for a while, and Discord knows the copy by
//! its nonce for a few minutes only. So Redis is told what Discord has taken, and that is not written again.

use std::sync::Arc;

use redis::RedisError;
use rolecall_discord::error::DiscordError;
use rolecall_domain::ids::{NotificationId, uuid_v7};
use rolecall_queue::{
    Attempt, JobError, Push,
    jobs::{MessageOutcome, MessageResult, SendDirectMessage},
};

use crate::{
    command::{Desk, wait_for},
    rest::CallError,
    term::Ctx,
};

/// Channels were opened too fast: about us, and not about the person.
const OPENING_TOO_FAST: u64 = 40_003;

/// How long it is known that Discord took a message: longer than a copy of it can be under way.
const TAKEN_SECONDS: u32 = 7 * 24 * 60 * 60;

/// The most characters that Discord takes.
const LONGEST_NONCE: usize = 25;

/// Writes the message. One that did not leave is the worker's to send again.
pub(crate) async fn run(ctx: Arc<Ctx>, job: SendDirectMessage, attempt: Attempt) -> Result<(), JobError> {
    // While Discord is away the worker is told so: it knows other ways to reach somebody.
    let _place = wait_for(&ctx.bot.shutdown.draining(), ctx.places.take(Desk::Messages)).await?;
    if is_taken(&ctx, job.notification_id).await? {
        return tell(&ctx, job.notification_id, &attempt, MessageResult::Sent).await;
    }
    let result = match write(&ctx, &job).await {
        Ok(()) => {
            note_taken(&ctx, job.notification_id).await;
            MessageResult::Sent
        }
        // From here on nobody must hear anything from us, Redis included. The job goes to the next holder.
        Err(CallError::LeaseLost(_)) => return std::future::pending().await,
        Err(CallError::Discord(DiscordError::Refused { code, message, .. })) if code != OPENING_TOO_FAST => {
            MessageResult::Refused {
                code: i64::try_from(code).unwrap_or(i64::MAX),
                message,
            }
        }
        Err(error) => MessageResult::Failed {
            message: error.to_string(),
        },
    };
    tell(&ctx, job.notification_id, &attempt, result).await
}

/// Whether Discord took the message before.
async fn is_taken(ctx: &Ctx, id: NotificationId) -> Result<bool, JobError> {
    let mut link = ctx.bot.link.clone();
    let taken: Result<bool, RedisError> = redis::cmd("EXISTS")
        .arg(mark(ctx, id))
        .query_async(&mut link)
        .await;
    taken.map_err(JobError::retry)
}

/// Notes that Discord took the message.
async fn note_taken(ctx: &Ctx, id: NotificationId) {
    let mut link = ctx.bot.link.clone();
    let mut set = redis::cmd("SET");
    set.arg(mark(ctx, id)).arg(1).arg("EX").arg(TAKEN_SECONDS);
    if let Err(error) = set.query_async::<()>(&mut link).await {
        // What is told to the worker now keeps it from sending a copy; only one that is under way already is written.
        tracing::debug!(%error, "that a message was taken could not be noted");
    }
}

fn mark(ctx: &Ctx, id: NotificationId) -> String {
    format!("{}:bot:message:{id}", ctx.bot.link.namespace())
}

async fn write(ctx: &Ctx, job: &SendDirectMessage) -> Result<(), CallError> {
    let channel = ctx.rest.open_direct_channel(job.user_id).await?;
    ctx.rest
        .create_message(channel, &job.text, &nonce(job.notification_id))
        .await
}

/// The same for each sending of a notification, and short enough for Discord: the end of the id, which
/// holds all its randomness.
fn nonce(id: NotificationId) -> String {
    let digits = id.as_uuid().simple().to_string();
    digits
        .chars()
        .skip(digits.len().saturating_sub(LONGEST_NONCE))
        .collect()
}

async fn tell(
    ctx: &Ctx,
    notification_id: NotificationId,
    attempt: &Attempt,
    result: MessageResult,
) -> Result<(), JobError> {
    let bot = &ctx.bot;
    let now = bot.clock.now();
    let outcome = MessageOutcome {
        notification_id,
        result,
    };
    let push = Push {
        traceparent: attempt.traceparent.clone(),
        ..Push::new(now, uuid_v7(now, &*bot.rng))
    };
    bot.producer.push(&outcome, push).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_short_and_the_same_for_the_same_message() {
        let id: NotificationId = "0191e3a0-0000-7000-8000-000000000001".parse().unwrap();
        let other: NotificationId = "0191e3a0-0000-7000-8000-000000000002".parse().unwrap();
        assert_eq!(nonce(id).len(), LONGEST_NONCE);
        assert_eq!(nonce(id), nonce(id));
        assert_ne!(nonce(id), nonce(other));
    }
}
