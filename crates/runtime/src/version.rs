//! Which build this is.

use std::sync::LazyLock;

/// The version of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that was built, as the image build hands it over in `ROLECALL_COMMIT`.
pub const COMMIT: &str = match option_env!("ROLECALL_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{VERSION} ({COMMIT})"));

/// What `--version` prints after the name of the program.
pub fn version() -> &'static str {
    &TEXT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_names_release_and_commit() {
        assert!(version().starts_with(VERSION), "{}", version());
        assert!(version().contains(COMMIT), "{}", version());
    }
}
