//! What the documents name exists: paths in backticks and relative links, in the READMEs and under `docs` and
//! `deploy`.

use crate::tidy::source::numbered;
use crate::tidy::{Fault, Tree};

/// A token with a slash is a path of ours when it begins with one of these.
const FOLDERS: [&str; 8] = [
    "crates",
    "deploy",
    "docs",
    "migrations",
    "xtask",
    ".ci",
    ".config",
    ".github",
];

/// A token without a slash is a file of ours when it begins or ends so.
const PREFIXES: [&str; 1] = ["Dockerfile."];
const SUFFIXES: [&str; 2] = [".md", ".yml"];

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (number, line) in numbered(text) {
            let named = backticked(line).filter(|token| is_path(token));
            let gone = named.filter(|token| !is_there(tree, path, token));
            let broken = links(line).filter(|target| !is_linked(tree, path, target));
            faults.extend(
                gone.chain(broken)
                    .map(|token| Fault::at(path, number, format!("no such path: {token}"))),
            );
        }
    }
    faults
}

fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(token: &str) -> bool {
    let is_plain = token
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || "._-/".contains(letter));
    let is_ours = match token.split_once('/') {
        Some((folder, _)) => FOLDERS.contains(&folder),
        None => {
            PREFIXES.iter().any(|prefix| token.starts_with(prefix))
                || SUFFIXES.iter().any(|suffix| token.ends_with(suffix))
        }
    };
    is_plain && is_ours
}

fn is_there(tree: &Tree, document: &str, token: &str) -> bool {
    tree.exists(token) || tree.exists(&beside(document, token))
}

/// The targets of `[words](target)` that are files of ours.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| {
        !target.contains("://") && !target.starts_with('#') && !target.starts_with("mailto:")
    })
}

fn is_linked(tree: &Tree, document: &str, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or(target);
    tree.exists(&beside(document, file))
}

/// Resolves a relative path from a document's own folder.
fn beside(document: &str, relative: &str) -> String {
    let mut parts: Vec<_> = document.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_links_must_lead_somewhere() {
        let tree = Tree::of(&[
            (
                "README.md",
                "`crates/db` and `crates/gone`, [it](docs/a.md#part), [not](docs/b.md)",
            ),
            (
                "docs/a.md",
                "[up](../README.md), `Dockerfile.gone`, `/api/v1/me`, `plans.toml`, `a.md`",
            ),
            ("crates/db/src/lib.rs", ""),
        ]);
        let faults: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "README.md:1: no such path: crates/gone",
                "README.md:1: no such path: docs/b.md",
                "docs/a.md:1: no such path: Dockerfile.gone",
            ]
        );
    }
}
