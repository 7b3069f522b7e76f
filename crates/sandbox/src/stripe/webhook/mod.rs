//! Webhooks: signed, queued, sent, and tried again.

pub(crate) mod queue;
pub(crate) mod sender;
pub mod sign;
