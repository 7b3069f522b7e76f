//! `cargo xtask chaos`: builds everything and lives through a bad day, on servers that the day itself kills.

use std::process::Command;

use anyhow::Result;

use crate::infra::{self, Tool};
use crate::process;
use crate::workspace::Workspace;

/// Runs `rolecall-chaos` with `args`.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    infra::ensure_tools(&[Tool::Postgres, Tool::Redis])?;
    process::run(&mut workspace.build_programs())?;
    let mut chaos = Command::new(workspace.binary("rolecall-chaos"));
    chaos.args(args).current_dir(&workspace.root);
    process::run(infra::with_tools(&mut chaos))
}
