//! The rules of the house that neither the compiler nor clippy knows, one a file. They run as `cargo xtask tidy`
//! and as an ordinary test.

mod documents;
mod edges;
mod headers;
mod length;
mod licences;
mod paths;
mod reachable;
mod sleeps;
mod source;
mod sql_clock;
mod toolchain;
mod tree;
mod unfinished;

use std::fmt;

pub(crate) use crate::tidy::tree::Tree;

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Relative to the root.
    path: String,
    /// Counted from one; zero where the whole file is meant.
    line: usize,
    /// What is wrong, and what to do.
    problem: String,
}

impl Fault {
    fn in_file(path: &str, problem: impl Into<String>) -> Self {
        Self::at(path, 0, problem)
    }

    fn at(path: &str, line: usize, problem: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.problem),
            line => write!(formatter, "{}:{line}: {}", self.path, self.problem),
        }
    }
}

/// Everything that is wrong with `tree`, by rule.
pub(crate) fn faults(tree: &Tree) -> Vec<Fault> {
    let checks: [fn(&Tree) -> Vec<Fault>; 11] = [
        edges::check,
        headers::check,
        reachable::check,
        length::check,
        sleeps::check,
        sql_clock::check,
        unfinished::check,
        paths::check,
        documents::check,
        licences::check,
        toolchain::check,
    ];
    checks.iter().flat_map(|check| check(tree)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::load(&Workspace::locate().unwrap()).unwrap();
        let faults: Vec<_> = faults(&tree).iter().map(Fault::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn a_fault_shows_where_it_is() {
        assert_eq!(Fault::at("a.rs", 7, "bad").to_string(), "a.rs:7: bad");
        assert_eq!(Fault::in_file("a.rs", "bad").to_string(), "a.rs: bad");
    }
}
