//! What Rolecall decides, as pure functions: ids, standing, desired roles, role difference.
//!
//! Nothing here performs IO, reads a clock or draws a random number, and so nothing here can
//! fail for want of one: time and randomness come in as arguments.

pub mod catalog;
pub mod clock;
pub mod grace;
pub mod grant;
pub mod hierarchy;
pub mod ids;
pub mod impact;
pub mod member;
pub mod message;
pub mod policy;
pub mod reconcile;
pub mod reversal;
pub mod roles;
pub mod standing;
pub mod standing_table;
pub mod subscription;
pub mod trigger;
