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

/// The last place where a call can be stopped: after its wait at the limiter, before a byte of it goes out.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<AtomicU8>,
    /// What it stands in front of.
    outer: Option<Arc<AtomicU8>>,
}

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
        self.gate.as_ref().is_none_or(Gate::pass)
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
    /// A gate for one of several calls, in front of this one for all of them: its call goes out only through both.
    #[must_use]
    pub fn inner(&self) -> Self {
        Self {
            state: Arc::default(),
            outer: Some(Arc::clone(&self.state)),
        }
    }

    /// Calls the call off. `false` if it has gone out: then only its answer tells what came of it.
    pub fn shut(&self) -> bool {
        turn(&self.state, SHUT)
    }

    fn pass(&self) -> bool {
        turn(&self.state, PASSED) && self.outer.as_ref().is_none_or(|outer| turn(outer, PASSED))
    }
}

/// Turns a gate that is open, or is so already.
fn turn(gate: &AtomicU8, state: u8) -> bool {
    let turned = gate.compare_exchange(OPEN, state, Ordering::SeqCst, Ordering::SeqCst);
    turned.is_ok() || turned == Err(state)
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

    #[test]
    fn a_call_that_was_stopped_at_its_own_gate_has_not_gone_through_that_of_all() {
        let all = Gate::default();
        let stopped = all.inner();
        assert!(stopped.shut());
        assert!(!Pass::new(Lane::Now, &stopped).go_through());
        assert!(all.shut(), "nothing has gone out");

        let all = Gate::default();
        assert!(Pass::new(Lane::Now, &all.inner()).go_through());
        assert!(!all.shut(), "one of them has gone out");
        let second = all.inner();
        assert!(second.shut(), "another can still be stopped");
    }

    #[test]
    fn once_all_are_called_off_none_goes_out() {
        let all = Gate::default();
        assert!(all.shut());
        assert!(!Pass::new(Lane::Now, &all.inner()).go_through());
    }
}
