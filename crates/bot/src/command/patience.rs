//! How long a job waits before anything of it is begun: until its turn comes, but not beyond a drain, nor until the
//! queue takes it for failed. One that goes back unbegun has spent no attempt.

use std::time::Duration;

use rolecall_queue::JobError;
use tokio::time::sleep;

use crate::term::Ctx;

/// Less than the timeout of any job of ours.
const LONGEST: Duration = Duration::from_secs(20);

/// When one that has waited so long comes again.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits for what has to come before a job is begun; or says when the job is to come again.
pub(crate) async fn wait_for<T>(ctx: &Ctx, coming: impl Future<Output = T>) -> Result<T, JobError> {
    let draining = ctx.bot.shutdown.draining();
    tokio::select! {
        biased;
        // First: from here on nothing is begun.
        () = draining.cancelled() => Err(JobError::Snooze(Duration::ZERO)),
        came = coming => Ok(came),
        () = sleep(LONGEST) => Err(JobError::Snooze(AGAIN)),
    }
}
