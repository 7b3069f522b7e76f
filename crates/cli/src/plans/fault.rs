//! What is wrong in a plans file, and where.

use std::{fmt, ops::Range};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub(crate) struct Fault {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong, and how to mend it.
    pub(crate) problem: String,
}

impl Fault {
    pub(crate) fn new(line: usize, problem: impl Into<String>) -> Self {
        Self {
            line,
            problem: problem.into(),
        }
    }
}

/// Everything that is wrong with a file; displays one line a fault.
#[derive(Debug)]
pub(crate) struct FileError {
    pub(crate) path: String,
    pub(crate) faults: Vec<Fault>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "nothing was applied, because the plans file has faults:")?;
        for fault in &self.faults {
            writeln!(f, "  {}:{}: {}", self.path, fault.line, fault.problem)?;
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}

/// Says on which line of a text a byte stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a>(pub(crate) &'a str);

impl Lines<'_> {
    pub(crate) fn of(self, span: &Range<usize>) -> usize {
        let before = self.0.as_bytes().iter().take(span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}
