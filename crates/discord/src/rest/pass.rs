//! How a call goes: in which lane, and whether it may still be called off while it waits for its turn.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::limiter::Lane;

const OPEN: u8 = 0;
const PASSED: u8 = 1;
const SHUT: u8 = 2;

/// A call's lane, and its gate if it has one. A lane alone is a pass, too.
#[derive(Debug, Clone)]
pub struct Pass {
    pub(crate) lane: Lane,
    /// It goes even with a token that was refused, to find out whether it still is.
    pub(crate) despite_refusal: bool,
    pub(crate) gate: Option<Gate>,
}

/// The last place where one call can be stopped: after its wait at the limiter, before a byte of it goes out.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicU8>);

impl Pass {
    /// A pass whose call can be called off at `gate`.
    pub fn new(lane: Lane, gate: &Gate) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..Self::from(lane)
        }
    }

    /// Goes through the gate, if there is one and it is not shut.
    pub(crate) fn go_through(&self) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.turn_to(PASSED))
    }
}

impl From<Lane> for Pass {
    fn from(lane: Lane) -> Self {
        Self {
            lane,
            despite_refusal: false,
            gate: None,
        }
    }
}

impl Gate {
    /// Calls the call off. `false` if it has gone out: then only its answer tells what came of it.
    pub fn shut(&self) -> bool {
        self.turn_to(SHUT)
    }

    fn turn_to(&self, state: u8) -> bool {
        let turned = self
            .0
            .compare_exchange(OPEN, state, Ordering::SeqCst, Ordering::SeqCst);
        turned.is_ok() || turned == Err(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_out_or_is_called_off_but_never_both() {
        let gate = Gate::default();
        assert!(Pass::new(Lane::Now, &gate).go_through());
        assert!(!gate.shut());
        let gate = Gate::default();
        assert!(gate.shut());
        assert!(!Pass::new(Lane::Now, &gate).go_through());
        assert!(Pass::from(Lane::Bulk).go_through());
    }
}
