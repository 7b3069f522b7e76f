//! Jobs over Redis Streams: the kinds of jobs and their policy, the producer, the workers, and
//! the small things besides that live in Redis (lease, documents, live messages).
//!
//! Redis carries hints only: whoever owes a job keeps a due row in Postgres and pushes it again.
//! A job may run twice, late and out of order; it is lost only with Redis' memory.

pub mod catalog;
mod causes;
mod envelope;
mod job;
pub mod jobs;
mod keys;
mod link;
mod producer;
mod scripts;
mod time;

/// What Redis, or the way to it, answered instead of the wanted.
pub use redis::RedisError;

pub use crate::{
    envelope::{Envelope, InvalidEnvelope},
    job::Job,
    keys::{Keys, Queue, UnknownQueue},
    link::{InvalidRedisUrl, Link, LinkOptions},
    producer::{Producer, Push, PushError, Pushed},
};
