//! One Rust everywhere: what `rust-toolchain.toml` pins is what the images build with.

use crate::tidy::source::numbered;
use crate::tidy::{Fault, Tree};

const PIN: &str = "rust-toolchain.toml";

pub(crate) fn check(tree: &Tree) -> Vec<Fault> {
    let Some(version) = tree.text(PIN).and_then(pinned) else {
        return vec![Fault::in_file(PIN, "pins no `channel`")];
    };
    let images = tree.files().filter(|(path, _)| path.starts_with("Dockerfile."));
    images
        .flat_map(|(path, text)| check_image(path, text, version))
        .collect()
}

fn pinned(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.strip_prefix("channel = "))?;
    Some(line.trim().trim_matches('"'))
}

fn check_image(path: &str, text: &str, version: &str) -> Vec<Fault> {
    let builders = numbered(text).filter(|(_, line)| line.starts_with("FROM rust:"));
    let image = format!("FROM rust:{version}-");
    let other = builders.filter(|(_, line)| !line.starts_with(&image));
    other
        .map(|(number, _)| Fault::at(path, number, format!("{PIN} says {version}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_another_rust_is_a_fault() {
        let tree = Tree::of(&[
            (PIN, "[toolchain]\nchannel = \"1.95.0\""),
            ("Dockerfile.api", "FROM rust:1.95.0-bookworm AS build"),
            ("Dockerfile.bot", "FROM rust:1.94.0-bookworm AS build"),
        ]);
        assert_eq!(
            check(&tree),
            [Fault::at("Dockerfile.bot", 1, "rust-toolchain.toml says 1.95.0")]
        );
    }
}
