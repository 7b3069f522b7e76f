//! Why a push failed, in the terms of who has to act.

use redis::RedisError;

use crate::link::Trouble;

/// Why a job was not pushed (or why that is not known).
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Redis cannot be reached or did not answer in time. The job may have been taken.
    #[error("Redis is unavailable")]
    Unavailable(#[source] RedisError),
    /// Redis is still reading its data after a start.
    #[error("Redis is loading its data")]
    Loading(#[source] RedisError),
    /// Redis has become a replica: a failover is going on.
    #[error("Redis is read-only")]
    ReadOnly(#[source] RedisError),
    /// Redis has reached its memory limit.
    #[error("Redis is out of memory")]
    OutOfMemory(#[source] RedisError),
    /// Redis cannot keep a write safe, on its disk or with its replicas, and refuses it.
    #[error("Redis cannot keep its data safe")]
    CannotPersist(#[source] RedisError),
    /// Redis understood and said no: a fault of ours or of the set-up.
    #[error("Redis refused the job")]
    Refused(#[source] RedisError),
    /// The job could not be written as JSON.
    #[error("the job cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

impl PushError {
    /// Whether the same push may succeed later: answer 503, not 500.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Encode(_))
    }
}

impl From<RedisError> for PushError {
    fn from(error: RedisError) -> Self {
        match Trouble::of(&error) {
            Trouble::Away => Self::Unavailable(error),
            Trouble::Loading => Self::Loading(error),
            Trouble::ReadOnly => Self::ReadOnly(error),
            Trouble::OutOfMemory => Self::OutOfMemory(error),
            Trouble::CannotPersist => Self::CannotPersist(error),
            Trouble::Mistake => Self::Refused(error),
        }
    }
}
