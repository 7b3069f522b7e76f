//! The licence that every manifest names is there.

use crate::tidy::{Fault, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let files = ["LICENSE-APACHE", "LICENSE-MIT"];
    let missing = files
        .into_iter()
        .filter(|path| tree.text(path).is_none_or(str::is_empty));
    missing
        .map(|path| Fault::in_file(path, "every manifest names this licence, and it is not there"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_licence_is_none() {
        let tree = Tree::of(&[("LICENSE-MIT", ""), ("LICENSE-APACHE", "Apache License")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
