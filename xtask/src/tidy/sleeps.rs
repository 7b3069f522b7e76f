//! Tests wait for what they wait for, not for the time it took on somebody's machine. Where every async test of a
//! file runs on tokio's paused clock, sleeping takes no time and is how such a test says how long something takes.

use crate::tidy::source::{is_comment, tests};
use crate::tidy::{Fault, Tree};

/// Spelt in halves, so that this file does not find itself.
const SLEEP: &str = concat!("sle", "ep(");

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let files = tree.ending(".rs").filter(|(_, text)| !has_paused_clock(text));
    let lines = files.flat_map(|(path, text)| {
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

fn has_paused_clock(text: &str) -> bool {
    let mut attributes = text
        .lines()
        .filter(|line| line.trim_start().starts_with("#[tokio::test"))
        .peekable();
    attributes.peek().is_some() && attributes.all(|attribute| attribute.contains("start_paused = true"))
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

    #[test]
    fn under_a_paused_clock_sleeping_is_free_but_one_test_on_the_real_clock_spoils_it() {
        let paused = "    #[tokio::test(start_paused = true)]\n";
        assert!(has_paused_clock(paused));
        assert!(!has_paused_clock(&format!("{paused}    #[tokio::test]\n")));
        assert!(!has_paused_clock("#[test]"));
    }
}
