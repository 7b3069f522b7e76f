//! How a proxy treats the connections that go through it.

use std::time::Duration;

/// What becomes of connections, open ones and new ones alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// Every byte passes at once.
    #[default]
    Pass,
    /// New connections are accepted and reset at once; open ones are reset.
    Refuse,
    /// Bytes are swallowed and nothing is answered, as behind a firewall that has lost its mind. A
    /// connection that has lost bytes so is reset when the silence ends; the others live on.
    Silent,
    /// Each chunk waits, in each direction.
    Slow {
        /// How long.
        delay: Duration,
    },
    /// Each connection is reset when this many bytes, both directions together, have passed since
    /// this conduct came into force.
    CutAfter {
        /// How many still pass.
        bytes: u64,
    },
}

/// A conduct, and when it came into force: the same conduct set again is a new one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) conduct: Conduct,
    pub(crate) edition: u64,
}
