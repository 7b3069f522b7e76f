//! Why a piece of work could not be done, and what follows for its job.

use std::time::Duration;

use rolecall_db::DbError;
use rolecall_queue::JobError;
use rolecall_stripe::error::StripeError;

/// How long a job waits that stood in somebody's way.
const AFTER_DEADLOCK: Duration = Duration::from_secs(1);

/// A piece of work that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Stripe.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// Other reads of the same object were faster, again and again.
    #[error("{0} changed under every read; trying again later")]
    Contended(String),
    /// A fault of ours.
    #[error("{0}")]
    Fault(String),
    /// An object that lacks what it cannot do without.
    #[error("{0}")]
    Unusable(String),
}

/// What follows for the job. (`?` alone would try everything again by the schedule.)
pub fn job_error(error: WorkError) -> JobError {
    match &error {
        WorkError::Stripe(stripe) => match stripe.retry_after() {
            // Stripe says when: that wait instead of the schedule's, and no attempt is spent.
            Some(wait) => {
                tracing::warn!(%error, ?wait, "Stripe wants to be left alone for a while; a job waits");
                JobError::Snooze(wait.max(Duration::from_secs(1)))
            }
            None => JobError::retry(error),
        },
        WorkError::Unusable(_) => JobError::cancel(error),
        WorkError::Db(db) if db.is_deadlock() => {
            tracing::warn!(%error, "a job and somebody else stood in each other's way; tried again soon");
            JobError::Snooze(AFTER_DEADLOCK)
        }
        WorkError::Db(_) | WorkError::Contended(_) | WorkError::Fault(_) => JobError::retry(error),
    }
}

/// What `work` comes to, or a fault if that takes longer than `limit`: a connection that is gone without a word
/// would keep whoever waits for it for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, WorkError>>,
) -> Result<T, WorkError> {
    let fault = || WorkError::Fault(format!("took longer than {limit:?}"));
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(fault()))
}

/// An error with everything that caused it, in one line.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_answers_is_given_up() {
        let given_up = within(Duration::from_mins(30), std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(given_up, Err(WorkError::Fault(why)) if why.contains("1800")));
        assert_eq!(within(Duration::ZERO, async { Ok(7) }).await.ok(), Some(7));
    }
}
