//! `cargo xtask demo`: builds everything and becomes the demo program, on servers of its own.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::infra::Infra;
use crate::process;
use crate::workspace::Workspace;

/// Runs `rolecall-demo` with `args` in this process's place, so that Ctrl-C and the exit code are its own.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let infra = Infra::start(workspace)?.with_fresh_database("rolecall_demo")?;
    process::run(&mut workspace.build_programs())?;
    let mut demo = Command::new(workspace.binary("rolecall-demo"));
    infra.pass_to(&mut demo).args(args).current_dir(&workspace.root);
    // A Redis that is not ours may hold the keys of an earlier demo.
    demo.env("REDIS_NAMESPACE", format!("rolecall_demo_{}", std::process::id()));
    // Returns only if it failed; the guard sees this process end, whatever it has become.
    Err(demo.exec()).context("start rolecall-demo")
}
