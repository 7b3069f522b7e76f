//! What a sweep decides: how what we keep differs from what Stripe says, what would change for people, and
//! whether a run may go on without being asked.

pub mod difference;
pub mod effect;
pub mod guard;
