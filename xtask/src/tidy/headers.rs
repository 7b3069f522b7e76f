//! Every source file opens with `//!`: one to five lines on what it is, and what it is not.

use crate::tidy::{Fault, Tree};

const MOST_LINES: usize = 5;

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    tree.ending(".rs")
        .filter_map(|(path, text)| problem(text).map(|why| Fault::in_file(path, why)))
        .collect()
}

fn problem(text: &str) -> Option<&'static str> {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    match header
        .map(|line| line.trim_start_matches("//!").trim())
        .filter(|words| !words.is_empty())
        .count()
    {
        0 => Some("begin with a `//!` header: what this file is, and what it is not"),
        lines if lines > MOST_LINES => {
            Some("the `//!` header is over five lines: what is long belongs to `docs`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_one_to_five_lines_is_asked_for() {
        assert!(problem("//! A file.\nfn a() {}").is_none());
        assert!(problem("//! A file.\n//!\n//! More.").is_none());
        assert!(problem("fn a() {}").is_some());
        assert!(problem("//!\nfn a() {}").is_some());
        assert!(problem(&"//! line\n".repeat(6)).is_some());
    }
}
