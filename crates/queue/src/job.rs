//! What every kind of job declares about itself.

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::keys::Queue;

/// A kind of job: its arguments, and the policy they are run under.
///
/// A job may run twice, late and out of order.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire: a literal in snake case that never changes, verb first.
    const KIND: &'static str;
    /// Names that the kind had before, for as long as jobs under them may be around.
    const ALIASES: &'static [&'static str] = &[];
    /// After this many attempts the job is given up.
    const MAX_ATTEMPTS: u32;
    /// An attempt that takes longer is stopped, and repeated.
    const TIMEOUT: Duration;
    /// How long a second job with the same dedup key is taken for a duplicate.
    const DEDUP_FOR: Duration = Duration::from_hours(4 * 24);
    /// The queues that jobs of this kind travel on: where metrics start at zero.
    const QUEUES: &'static [Queue] = &Queue::ALL;

    /// The queue this job belongs to.
    fn queue(&self) -> Queue;

    /// About how many bytes the arguments take in JSON; only that room for them is made at once.
    fn size_hint(&self) -> usize {
        128
    }

    /// What makes another job the same as this one.
    fn dedup_key(&self) -> Option<String> {
        None
    }
}
