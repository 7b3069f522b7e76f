//! `message_outcome`: what became of a direct message.

use rolecall_db::notifications::{find_attempts, set_notification_failed, set_notification_sent};
use rolecall_queue::{
    Attempt, JobError,
    jobs::{MessageOutcome, MessageResult},
};

use crate::{handlers::SharedCtx, timing::next_try};

/// Notes it with the message. Of a message that is gone, or has left already, there is nothing to note.
pub async fn run(ctx: SharedCtx, args: MessageOutcome, _: Attempt) -> Result<(), JobError> {
    let id = args.notification_id;
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let Some(attempts) = find_attempts(&mut tx, id).await? else {
        return Ok(());
    };
    match args.result {
        MessageResult::Sent => set_notification_sent(&mut tx, id, now).await?,
        MessageResult::Refused { code, message } => {
            let refusal = format!("Discord refuses ({code}): {message}");
            set_notification_failed(&mut tx, id, &refusal, None).await?;
        }
        MessageResult::Failed { message } => {
            let (again, words) = next_try(now, attempts, &message);
            set_notification_failed(&mut tx, id, &words, again).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
