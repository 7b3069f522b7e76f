//! Sign-in with Discord: sending people there, taking them back, and keeping who they are.

pub(crate) mod attempt;
pub(crate) mod link;
pub(crate) mod next;
pub(crate) mod routes;
