//! No file grows so long that it must be more than one thing. Unit tests do not count.

use crate::tidy::source::{is_test_file, production};
use crate::tidy::{Fault, Tree};

const MOST_LINES: usize = 500;

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let sources = tree.ending(".rs").filter(|(path, _)| !is_test_file(path));
    let lengths = sources.map(|(path, text)| (path, production(text).count()));
    let long = lengths.filter(|(_, lines)| *lines > MOST_LINES);
    long.map(|(path, lines)| Fault::in_file(path, format!("{lines} lines: which two things is it?")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_code_counts() {
        let long = "fn a() {}\n".repeat(501);
        let tested = format!("fn a() {{}}\n#[cfg(test)]\n{long}");
        let tree = Tree::of(&[
            ("src/long.rs", &long),
            ("src/tested.rs", &tested),
            ("a/tests/long.rs", &long),
        ]);
        assert_eq!(
            check(&tree),
            [Fault::in_file(
                "src/long.rs",
                "501 lines: which two things is it?"
            )]
        );
    }
}
