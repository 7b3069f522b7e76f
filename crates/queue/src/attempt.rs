//! One run of a job, and how it can go wrong.

use std::{error::Error, fmt, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::causes::causes;

/// A cause of failure, whatever it is.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What a handler knows about the run it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Which attempt this is, from 1.
    pub current: u32,
    /// After this one the job is given up.
    pub max: u32,
    /// The job's id, the same in every attempt.
    pub job_id: Uuid,
    /// When the job was pushed.
    pub enqueued_at: DateTime<Utc>,
    /// Whether this job may have run before: it is a retry, was snoozed, or its worker died.
    pub redelivered: bool,
    /// The trace the job was pushed in (W3C).
    pub traceparent: Option<String>,
}

impl Attempt {
    /// Whether the job is given up if this attempt fails.
    pub fn is_last(&self) -> bool {
        self.current >= self.max
    }
}

/// Why a handler did not complete its job, and what should become of it.
///
/// Not a `std::error::Error` itself, so that `?` can turn every such error into a retry.
pub enum JobError {
    /// Try again after the wait of the schedule.
    Retry(BoxError),
    /// Try again after this long: somebody told us when.
    RetryAfter(Duration, BoxError),
    /// Give the job up: trying again cannot help.
    Cancel(BoxError),
    /// Not yet. Run it again after this long; this was no attempt.
    Snooze(Duration),
}

impl JobError {
    /// Try again after the wait of the schedule.
    pub fn retry(cause: impl Into<BoxError>) -> Self {
        Self::Retry(cause.into())
    }

    /// Try again after this long.
    pub fn retry_after(wait: Duration, cause: impl Into<BoxError>) -> Self {
        Self::RetryAfter(wait, cause.into())
    }

    /// Give the job up.
    pub fn cancel(cause: impl Into<BoxError>) -> Self {
        Self::Cancel(cause.into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Retry(Box::new(error))
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(cause) => write!(f, "retry: {}", causes(&**cause)),
            Self::RetryAfter(wait, cause) => write!(f, "retry after {wait:?}: {}", causes(&**cause)),
            Self::Cancel(cause) => write!(f, "cancel: {}", causes(&**cause)),
            Self::Snooze(wait) => write!(f, "snooze for {wait:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_mark_means_retry() {
        fn parse() -> Result<u8, JobError> {
            Ok("x".parse::<u8>()?)
        }
        assert!(matches!(parse(), Err(JobError::Retry(_))));
    }

    #[test]
    fn a_failure_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::num::ParseIntError);

        let error = JobError::cancel(Outer("x".parse::<u8>().unwrap_err()));
        assert_eq!(error.to_string(), "cancel: outer: invalid digit found in string");
    }
}
