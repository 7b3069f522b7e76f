//! Nothing unfinished is committed, and no test is switched off.

use crate::tidy::source::numbered;
use crate::tidy::{Fault, Tree};

/// Spelt in halves, so that this file does not find itself.
const WORDS: [&str; 8] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("#[ign", "ore"),
    concat!("should_", "panic"),
    concat!("#[al", "low("),
];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let lines = tree.ending(".rs").flat_map(|(path, text)| {
        numbered(text).filter_map(move |(number, line)| Some((path, number, unfinished(line)?)))
    });
    lines
        .map(|(path, number, word)| Fault::at(path, number, format!("`{word}` does not belong here")))
        .collect()
}

fn unfinished(line: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_and_none_is_made_up() {
        for word in WORDS {
            assert_eq!(unfinished(&format!("    {word}")), Some(word));
        }
        assert_eq!(unfinished("#[expect(lint, reason = \"why\")]"), None);
    }
}
