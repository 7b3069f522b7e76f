//! How long a job waits before anything of it is begun: until its turn comes, but not beyond a drain, nor until the
//! queue takes it for failed. One that goes back unbegun has spent no attempt.

use std::time::Duration;

use rolecall_queue::JobError;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Less than the timeout of any job of ours.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits for what has to come before a job is begun; or says that the job is to come again at once, behind all
/// others. Of a burst many have waited so long at the same moment: would they stay away for a while, Discord's next
/// windows would go by unused.
pub(crate) async fn wait_for<T>(
    draining: &CancellationToken,
    coming: impl Future<Output = T>,
) -> Result<T, JobError> {
    tokio::select! {
        biased;
        // First: from here on nothing is begun.
        () = draining.cancelled() => Err(JobError::Snooze(Duration::ZERO)),
        came = coming => Ok(came),
        () = sleep(LONGEST) => Err(JobError::Snooze(Duration::ZERO)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::Instant;

    use super::*;

    fn comes_again_at_once<T>(waited: &Result<T, JobError>) -> bool {
        matches!(waited, Err(JobError::Snooze(Duration::ZERO)))
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_waited_for_twenty_seconds_comes_again_at_once() {
        let began = Instant::now();
        let waited = wait_for(&CancellationToken::new(), pending::<()>()).await;
        assert!(comes_again_at_once(&waited), "{waited:?}");
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    #[tokio::test]
    async fn what_comes_is_begun() {
        let came = wait_for(&CancellationToken::new(), ready(7)).await;
        assert_eq!(came.unwrap(), 7);
    }

    #[tokio::test]
    async fn while_the_process_drains_nothing_is_begun() {
        let draining = CancellationToken::new();
        draining.cancel();
        let waited = wait_for(&draining, ready(())).await;
        assert!(comes_again_at_once(&waited), "{waited:?}");
    }
}
