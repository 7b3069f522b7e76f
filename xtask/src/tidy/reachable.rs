//! Every source file is in a module tree: a file that no compiler sees is not code.

use std::collections::BTreeSet;

use crate::tidy::source::code;
use crate::tidy::{Fault, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    for entry_point in tree.packages.iter().flat_map(|package| &package.entry_points) {
        let folder = parent(entry_point).to_owned();
        visit(tree, entry_point, &folder, &mut seen);
    }
    let sources = tree.ending(".rs").map(|(path, _)| path);
    let dead = sources.filter(|path| !seen.contains(*path));
    dead.map(|path| Fault::in_file(path, "no module declares this file"))
        .collect()
}

/// Marks `path` and all files of its modules, which lie in `folder`.
fn visit(tree: &Tree, path: &str, folder: &str, seen: &mut BTreeSet<String>) {
    let Some(text) = tree.text(path) else { return };
    if !seen.insert(path.to_owned()) {
        return;
    }
    for module in code(text).filter_map(|(_, line)| declared_module(line)) {
        let inside = format!("{folder}/{module}");
        visit(tree, &format!("{inside}.rs"), &inside, seen);
        visit(tree, &format!("{inside}/mod.rs"), &inside, seen);
    }
}

/// The name in `mod name;`, whatever its visibility.
fn declared_module(line: &str) -> Option<&str> {
    let declaration = line.trim().strip_suffix(';')?;
    let (visibility, name) = declaration.rsplit_once("mod ")?;
    let is_visibility = visibility.is_empty() || visibility.starts_with("pub");
    let is_name = name
        .chars()
        .all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_visibility && is_name).then_some(name)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn files_are_found_through_modules_and_the_rest_is_dead() {
        let mut tree = Tree::of(&[
            ("c/src/lib.rs", "mod a;\npub(crate) mod b;\n// mod dead;"),
            ("c/src/a.rs", ""),
            ("c/src/b/mod.rs", "mod inner;"),
            ("c/src/b/inner.rs", ""),
            ("c/src/dead.rs", ""),
        ]);
        tree.packages.push(Package {
            name: "c".to_owned(),
            folder: "c".to_owned(),
            dependencies: Vec::new(),
            entry_points: vec!["c/src/lib.rs".to_owned()],
        });
        assert_eq!(
            check(&tree),
            [Fault::in_file("c/src/dead.rs", "no module declares this file")]
        );
    }

    #[test]
    fn a_module_with_a_body_declares_no_file() {
        assert_eq!(declared_module("mod a;"), Some("a"));
        assert_eq!(declared_module("    pub(crate) mod a;"), Some("a"));
        assert_eq!(declared_module("mod tests {"), None);
        assert_eq!(declared_module("let mod_name = x;"), None);
    }
}
