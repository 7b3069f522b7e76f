//! `cargo xtask bench`: builds everything as it ships and measures it on servers of its own.

use std::process::Command;

use anyhow::Result;

use crate::infra::{self, Tool};
use crate::process;
use crate::workspace::Workspace;

/// Runs `rolecall-bench` with `args`.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    infra::ensure_tools(&[Tool::Postgres, Tool::Redis, Tool::PgBouncer])?;
    process::run(workspace.build_programs().arg("--release"))?;
    let mut bench = Command::new(workspace.target.join("release").join("rolecall-bench"));
    bench.args(args).current_dir(&workspace.root);
    bench.arg("--keep").arg(workspace.target.join("bench"));
    process::run(infra::with_tools(&mut bench))
}
