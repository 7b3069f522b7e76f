//! `send_notification`: a message that is owed is sent.
//!
//! It is claimed before it is sent and noted after. Should the process die in between, it is sent again
//! under the same Message-ID, by which mail servers know it for the same message: a welcome that comes
//! twice is better than one that never comes.

use std::{convert::Infallible, time::Duration};

use rolecall_db::{
    DbError,
    notifications::{
        Channel, Notification, claim_notification, set_claimed_until, set_notification_failed,
        set_notification_sent, set_notification_unclaimed,
    },
};
use rolecall_queue::{
    Attempt, JobError, PushError,
    jobs::{SendDirectMessage, SendNotification},
};

use crate::{
    ctx::Ctx,
    handlers::SharedCtx,
    mail::{MailError, Mailer, Turn, compose, words_of},
    timing::{HINT_OVERDUE, handed_on_until, next_try},
};

/// A sender that has not renewed its claim for this long is dead: somebody else may send then.
const CLAIM: Duration = Duration::from_secs(30);

/// How often the claim is renewed while the mail server takes its time.
const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// How long a letter has to come to its end when the process drains.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// How a sending went.
enum Sent {
    /// It has left.
    Left,
    /// The bot has it, and tells what becomes of it.
    HandedOn,
    /// Another letter finds out first whether the mail server answers again.
    NotTried,
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
    note(&ctx, &notification, &result).await?;
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

async fn note(
    ctx: &Ctx,
    notification: &Notification,
    result: &Result<Sent, SendError>,
) -> Result<(), DbError> {
    let (id, tries, now) = (notification.id, notification.attempts, ctx.clock.now());
    let mut tx = ctx.db.begin().await?;
    match result {
        Ok(Sent::Left) => set_notification_sent(&mut tx, id, now).await?,
        Ok(Sent::HandedOn) => set_claimed_until(&mut tx, id, handed_on_until(now, tries)).await?,
        Ok(Sent::NotTried) => set_notification_unclaimed(&mut tx, id, now + HINT_OVERDUE).await?,
        Err(error) if !error.is_transient() => {
            set_notification_failed(&mut tx, id, &error.to_string(), None).await?;
        }
        Err(error) => {
            let (again, words) = next_try(now, tries, &error.to_string());
            set_notification_failed(&mut tx, id, &words, again).await?;
        }
    }
    tx.commit().await
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
    #[error("the worker stopped before the mail server had answered")]
    Stopped,
}

impl SendError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Mail(error) => error.is_transient(),
            Self::NoAccount => false,
            Self::Hand(_) | Self::Stopped => true,
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
        Channel::Mail => mail(ctx, notification).await,
        Channel::Discord => hand_on(ctx, notification).await.map(|()| Sent::HandedOn),
    }
}

async fn mail(ctx: &Ctx, notification: &Notification) -> Result<Sent, SendError> {
    let mailer = ctx.mailer.as_ref().ok_or(MailError::Off)?;
    match mailer.turn() {
        Some(turn) => post(ctx, mailer, &turn, notification).await.map(|()| Sent::Left),
        None => Ok(Sent::NotTried),
    }
}

/// Sends a letter, and keeps the claim on it for as long as that takes.
async fn post(ctx: &Ctx, mailer: &Mailer, turn: &Turn, notification: &Notification) -> Result<(), SendError> {
    let address = notification.email.as_deref().ok_or(MailError::NoAddress)?;
    let letter = compose(notification, ctx.public_url.as_deref())?;
    tokio::select! {
        sent = mailer.send(turn, notification, address, &letter) => Ok(sent?),
        never = keep_claim(ctx, notification) => match never {},
        () = ctx.time_is_up(LAST_MOMENTS) => Err(SendError::Stopped),
    }
}

async fn keep_claim(ctx: &Ctx, notification: &Notification) -> Infallible {
    loop {
        tokio::time::sleep(RENEWED_EVERY).await;
        if let Err(error) = renew_claim(ctx, notification).await {
            tracing::warn!(notification.id = %notification.id, %error, "the claim on a message could not be renewed");
        }
    }
}

async fn renew_claim(ctx: &Ctx, notification: &Notification) -> Result<(), DbError> {
    let mut tx = ctx.db.begin().await?;
    set_claimed_until(&mut tx, notification.id, ctx.clock.now() + CLAIM).await?;
    tx.commit().await
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
