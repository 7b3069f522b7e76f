//! Jobs over Redis Streams: the kinds of jobs and their policy, the producer, the workers, and
//! the small things besides that live in Redis (lease, documents, live messages).
//!
//! Redis carries hints only: whoever owes a job keeps a due row in Postgres and pushes it again.
//! A job may run twice, late and out of order; it is lost only with Redis' memory.

mod attempt;
mod backend;
mod backoff;
pub mod catalog;
mod causes;
mod dead;
mod documents;
mod envelope;
mod failing;
mod job;
pub mod jobs;
mod keys;
pub mod lease;
mod link;
mod metrics;
mod newest;
mod producer;
pub mod pub_sub;
mod registry;
mod retry;
mod runner;
mod scripts;
mod stats;
mod time;
mod trace;
mod worker;

/// What Redis, or the way to it, answered instead of the wanted.
pub use redis::RedisError;

pub use crate::{
    attempt::{Attempt, BoxError, JobError},
    dead::{DeadJob, DeadJobs},
    documents::{DocumentError, Documents},
    envelope::{Envelope, InvalidEnvelope},
    failing::Failing,
    job::Job,
    keys::{Keys, Queue, UnknownQueue},
    link::{InvalidRedisUrl, Link, LinkOptions, in_plain_words},
    metrics::Metrics,
    newest::{Seen, newest},
    producer::{Producer, Push, PushError, Pushed},
    registry::Registry,
    retry::{EmptySchedule, RetrySchedule},
    stats::{Stats, stats},
    trace::{current_traceparent, within},
    worker::{Host, Options, RunError, run},
};
