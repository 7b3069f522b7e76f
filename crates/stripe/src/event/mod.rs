//! Events: the envelope that intake needs, and what an event hints at.
//!
//! An event says only *that* something changed; what changed is read from Stripe. So nothing here
//! knows the many payload types.

mod envelope;
pub mod needed;
mod subjects;

pub use crate::event::{
    envelope::{EnvelopeError, EventEnvelope},
    subjects::{Subjects, subjects},
};
