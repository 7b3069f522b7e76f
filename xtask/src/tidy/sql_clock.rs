//! Time comes from the caller, also in SQL: the transaction's clock stands only in column defaults. Where the
//! database's own time is meant, a statement says `clock_timestamp()`.

use crate::tidy::source::numbered;
use crate::tidy::{Fault, Tree};

const CLOCKS: [&str; 4] = [
    "now()",
    "current_timestamp",
    "transaction_timestamp()",
    "localtimestamp",
];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let queries = tree
        .ending(".rs")
        .filter(|(path, _)| path.starts_with("crates/db/"));
    let files = tree.ending(".sql").chain(queries);
    let lines = files.flat_map(|(path, text)| numbered(text).map(move |(number, line)| (path, number, line)));
    let faulty = lines.filter(|(_, _, line)| reads_clock(line));
    faulty
        .map(|(path, number, _)| Fault::at(path, number, "SQL reads the clock: bind the time instead"))
        .collect()
}

fn reads_clock(line: &str) -> bool {
    let line = line.to_lowercase();
    let is_comment = line.trim_start().starts_with("--") || line.trim_start().starts_with("//");
    !is_comment && !line.contains("default") && CLOCKS.iter().any(|clock| stands_alone(&line, clock))
}

/// Whether `word` is there, and not as a Rust method, path, or the end of another word.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().last());
        before.is_none_or(|letter| !letter.is_alphanumeric() && !"._:".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_read_in_column_defaults_only() {
        assert!(!reads_clock("  created_at timestamptz NOT NULL DEFAULT now(),"));
        assert!(reads_clock("UPDATE members SET seen_at = NOW()"));
        assert!(reads_clock("WHERE ends_at < CURRENT_TIMESTAMP"));
        assert!(!reads_clock("SELECT clock_timestamp()"));
    }

    #[test]
    fn the_clock_of_rust_is_not_meant() {
        assert!(!reads_clock("let now = clock.now();"));
        assert!(!reads_clock("let now = Clock::now();"));
        assert!(!reads_clock("// never now()"));
    }
}
