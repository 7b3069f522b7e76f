//! `send_notification`: a message that is owed is sent.
//!
//! It is claimed before it is sent and noted after. Should the process die in between, it is sent again
//! under the same Message-ID, by which mail servers know it for the same message: a welcome that comes
//! twice is better than one that never comes.

use std::time::Duration;

use rolecall_db::notifications::{
    Channel, Notification, claim_notification, set_claimed_until, set_notification_failed,
    set_notification_sent,
};
use rolecall_queue::{
    Attempt, Job, JobError, PushError,
    jobs::{SendDirectMessage, SendNotification},
};

use crate::{
    ctx::Ctx,
    handlers::SharedCtx,
    mail::{MailError, compose, words_of},
    timing::send_again_at,
};

/// A sender that has not finished when its job is timed out is dead: somebody else may send then.
const CLAIM: Duration = SendNotification::TIMEOUT;

/// The bot waits for Discord's rate limits, so it is given longer until it is asked again.
const HANDED_ON: Duration = Duration::from_mins(5);

/// How a sending went.
enum Sent {
    /// It has left.
    Left,
    /// The bot has it, and tells what becomes of it.
    HandedOn,
}

/// Claims the message, sends it, and notes how that went.
pub async fn run(ctx: SharedCtx, args: SendNotification, _: Attempt) -> Result<(), JobError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let claimed = claim_notification(&mut tx, args.notification_id, now, now + CLAIM).await?;
    tx.commit().await?;
    let Some(notification) = claimed else {
        return Ok(());
    };
    let result = send(&ctx, &notification).await;
    let mut tx = ctx.db.begin().await?;
    match &result {
        Ok(Sent::Left) => set_notification_sent(&mut tx, notification.id, ctx.clock.now()).await?,
        Ok(Sent::HandedOn) => {
            set_claimed_until(&mut tx, notification.id, ctx.clock.now() + HANDED_ON).await?;
        }
        Err(error) => {
            let again = error
                .is_transient()
                .then(|| send_again_at(ctx.clock.now(), notification.attempts));
            set_notification_failed(&mut tx, notification.id, &error.to_string(), again).await?;
        }
    }
    tx.commit().await?;
    match result {
        Ok(_) => Ok(()),
        // The row says when it is tried again; the sweeper sends the hint.
        Err(error) if error.is_transient() => {
            tracing::warn!(notification.id = %notification.id, %error, "a message could not be sent yet");
            Ok(())
        }
        // The row has it, and it is no fault that anybody could find in the job.
        Err(error) if error.has_no_way() => {
            tracing::info!(notification.id = %notification.id, %error, "a message has no way to its addressee");
            Ok(())
        }
        Err(error) => Err(JobError::cancel(error)),
    }
}

/// Why a message was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error("the person has no Discord account linked")]
    NoAccount,
    #[error("the bot could not be told")]
    Hand(#[from] PushError),
}

impl SendError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Mail(error) => error.is_transient(),
            Self::NoAccount => false,
            Self::Hand(_) => true,
        }
    }

    /// Whether there is nowhere to send it: no address, no account, or no mail server at all.
    const fn has_no_way(&self) -> bool {
        matches!(
            self,
            Self::Mail(MailError::NoAddress | MailError::Off) | Self::NoAccount
        )
    }
}

async fn send(ctx: &Ctx, notification: &Notification) -> Result<Sent, SendError> {
    match notification.channel {
        Channel::Mail => mail(ctx, notification).await.map(|()| Sent::Left),
        Channel::Discord => hand_on(ctx, notification).await.map(|()| Sent::HandedOn),
    }
}

async fn mail(ctx: &Ctx, notification: &Notification) -> Result<(), SendError> {
    let mailer = ctx.mailer.as_ref().ok_or(MailError::Off)?;
    let address = notification.email.as_deref().ok_or(MailError::NoAddress)?;
    let letter = compose(notification, ctx.public_url.as_deref())?;
    Ok(mailer.send(notification, address, &letter).await?)
}

/// The bot alone speaks with Discord.
async fn hand_on(ctx: &Ctx, notification: &Notification) -> Result<(), SendError> {
    let job = SendDirectMessage {
        notification_id: notification.id,
        user_id: notification.discord_user_id.ok_or(SendError::NoAccount)?,
        text: words_of(notification, ctx.public_url.as_deref())?.plain(),
    };
    Ok(ctx.push(&job).await?)
}
