//! Direct messages: write what the worker owes somebody, and report.

use std::sync::Arc;

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

/// The most characters that Discord takes.
const LONGEST_NONCE: usize = 25;

/// Writes the message. One that did not leave is the worker's to send again.
pub(crate) async fn run(ctx: Arc<Ctx>, job: SendDirectMessage, attempt: Attempt) -> Result<(), JobError> {
    // While Discord is away the worker is told so: it knows other ways to reach somebody.
    let _place = wait_for(&ctx.bot.shutdown.draining(), ctx.places.take(Desk::Messages)).await?;
    let result = match write(&ctx, &job).await {
        Ok(()) => MessageResult::Sent,
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
