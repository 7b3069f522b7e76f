//! How long a job waits before anything of it is begun: until its turn comes, but not beyond a drain, nor until the
//! queue takes it for failed. One that goes back unbegun has spent no attempt.

use std::time::Duration;

use rolecall_queue::JobError;
use tokio::time::sleep;

use crate::term::Ctx;

/// Less than the timeout of any job of ours.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits for what has to come before a job is begun; or says that the job is to come again at once, behind all
/// others. Of a burst many have waited so long at the same moment: would they stay away for a while, Discord's next
/// windows would go by unused.
pub(crate) async fn wait_for<T>(ctx: &Ctx, coming: impl Future<Output = T>) -> Result<T, JobError> {
    let draining = ctx.bot.shutdown.draining();
    tokio::select! {
        biased;
        // First: from here on nothing is begun.
        () = draining.cancelled() => Err(JobError::Snooze(Duration::ZERO)),
        came = coming => Ok(came),
        () = sleep(LONGEST) => Err(JobError::Snooze(Duration::ZERO)),
    }
}
