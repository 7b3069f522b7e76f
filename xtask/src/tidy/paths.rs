//! No file names a place on somebody's own machine.

use crate::tidy::source::numbered;
use crate::tidy::{Fault, Tree};

/// Spelt in halves, so that this file does not find itself.
const PLACES: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let lines = tree.files().flat_map(|(path, text)| {
        numbered(text).filter_map(move |(number, line)| Some((path, number, place(line)?)))
    });
    lines
        .map(|(path, number, place)| Fault::at(path, number, format!("`{place}` exists on one machine only")))
        .collect()
}

/// The place that a line names, where a path begins there: `in/work/order` is none.
fn place(line: &str) -> Option<&'static str> {
    PLACES.into_iter().find(|place| {
        line.match_indices(place).any(|(at, _)| {
            let before = line.get(..at).and_then(|before| before.chars().last());
            before.is_none_or(|letter| !letter.is_alphanumeric() && !"._-}/".contains(letter))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found_where_it_begins() {
        let [home, ..] = PLACES;
        assert_eq!(place(&format!("see {home}jane/notes")), Some(home));
        assert_eq!(place(&format!("see docs{home}page")), None);
        assert_eq!(place("see /usr/sbin/pgbouncer"), None);
    }
}
