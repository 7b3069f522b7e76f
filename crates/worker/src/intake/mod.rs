//! Events: kept first, and then let take effect.
//!
//! [`keep`] writes what came in, many at a time; from then on the inbox is the due row and Redis is done
//! with it. The [`pump`] lets kept events take effect in the order of the [`mod@line`], those of one subject
//! together. [`refill`] takes up what nobody holds: what failed, what did not fit, what a worker held that
//! died.

mod effect;
mod failure;
pub mod keep;
pub mod line;
mod lookout;
mod pause;
pub mod pump;
pub mod refill;
pub mod subject;
