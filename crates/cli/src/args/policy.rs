//! `rolecall policy ...`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the policy in force, in the form of a file for `rolecall policy set`.
    Show,
    /// Put a policy in force, after telling what it does to how many people.
    Set(Set),
    /// Every policy that was in force, the newest first.
    History {
        /// At most so many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
}

/// Which policy.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// A file in TOML, as `rolecall policy show` prints it. An empty one brings the built-in rules back.
    pub(crate) file: PathBuf,
    /// Why, for whoever looks at it later.
    #[arg(long, required_unless_present = "dry_run")]
    pub(crate) reason: Option<String>,
    /// Refuse if another version than this is in force; wins over `if_version` in the file.
    #[arg(long, value_name = "VERSION")]
    pub(crate) if_version: Option<i64>,
    /// Only tell what it would do.
    #[arg(long)]
    pub(crate) dry_run: bool,
}
