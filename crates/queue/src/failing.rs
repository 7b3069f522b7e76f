//! Which kinds of jobs fail again and again: when every one of them does, something they all need is ill.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many failures in a row are no accident.
const NO_ACCIDENT: u32 = 3;

/// Without another attempt for this long, nobody knows any more.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// A kind of job none of which has succeeded lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The kind.
    pub kind: &'static str,
    /// How many attempts have failed since one succeeded.
    pub in_a_row: u32,
    /// Why the last of them did.
    pub reason: String,
}

#[derive(Debug)]
struct Row {
    length: u32,
    reason: String,
    last: Instant,
}

/// The failures in a row of each kind. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<BTreeMap<&'static str, Row>>>);

impl Failures {
    /// An attempt succeeded.
    pub(crate) fn succeeded(&self, kind: &'static str) {
        self.rows().remove(kind);
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, kind: &'static str, reason: &str) {
        let mut rows = self.rows();
        let length = rows.get(kind).map_or(0, |row| row.length);
        let row = Row {
            length: length.saturating_add(1),
            reason: reason.to_owned(),
            last: Instant::now(),
        };
        rows.insert(kind, row);
    }

    /// The kinds of which it is no accident.
    pub(crate) fn list(&self) -> Vec<Failing> {
        let rows = self.rows();
        let failing = rows
            .iter()
            .filter(|(_, row)| row.length >= NO_ACCIDENT && row.last.elapsed() < FORGOTTEN_AFTER);
        failing
            .map(|(kind, row)| Failing {
                kind,
                in_a_row: row.length,
                reason: row.reason.clone(),
            })
            .collect()
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<&'static str, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_fails_again_and_again_is_named_until_one_succeeds() {
        let failures = Failures::default();
        for reason in ["first", "second", "third"] {
            assert_eq!(failures.list(), []);
            failures.failed("sync", reason);
        }
        failures.failed("mail", "once");
        let expected = Failing {
            kind: "sync",
            in_a_row: 3,
            reason: "third".to_owned(),
        };
        assert_eq!(failures.list(), [expected]);
        failures.succeeded("sync");
        assert_eq!(failures.list(), []);
    }
}
