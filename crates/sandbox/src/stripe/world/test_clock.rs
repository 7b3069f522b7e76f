//! Test clocks: customers on one of them live in a time of their own.

use crate::stripe::world::Row;

/// A clock that stands still until it is advanced.
#[derive(Clone, Debug)]
pub struct TestClock {
    /// `clock_...`
    pub id: String,
    /// The owner's name for it.
    pub name: Option<String>,
    /// The time on it.
    pub frozen_time: i64,
    /// Where it stands.
    pub status: ClockStatus,
    /// Whether it was deleted, and its customers with it.
    pub deleted: bool,
    /// Unix seconds, of the wall.
    pub created: i64,
}

impl Row for TestClock {
    const OBJECT: &'static str = "test clock";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// Where a test clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockStatus {
    /// At rest.
    Ready,
    /// On its way to this time.
    Advancing(i64),
    /// Something that fell due could not happen.
    InternalFailure,
}

impl ClockStatus {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Advancing(_) => "advancing",
            Self::InternalFailure => "internal_failure",
        }
    }
}
