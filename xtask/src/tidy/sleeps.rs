//! Tests wait for what they wait for, not for the time it took on somebody's machine.

use crate::tidy::source::{is_comment, tests};
use crate::tidy::{Fault, Tree};

/// Spelt in halves, so that this file does not find itself.
const SLEEP: &str = concat!("sle", "ep(");

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let lines = tree.ending(".rs").flat_map(|(path, text)| {
        tests(path, text)
            .filter(|(_, line)| is_sleep(line))
            .map(move |(line, _)| (path, line))
    });
    lines
        .map(|(path, line)| Fault::at(path, line, "a test sleeps: wait for a signal, with a timeout"))
        .collect()
}

fn is_sleep(line: &str) -> bool {
    !is_comment(line) && line.contains(SLEEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_is_a_fault_in_tests_only() {
        let text = format!("fn wait() {{ {SLEEP}1) }}\n#[cfg(test)]\nfn test() {{ {SLEEP}1) }}\n// {SLEEP}");
        let tree = Tree::of(&[("src/a.rs", &text)]);
        assert_eq!(
            check(&tree),
            [Fault::at(
                "src/a.rs",
                3,
                "a test sleeps: wait for a signal, with a timeout"
            )]
        );
    }
}
