//! `cargo xtask lint`: all that can be said about the code without running it.

use std::process::Command;

use anyhow::Result;

use crate::cmd::{prepare, tidy};
use crate::process;
use crate::workspace::Workspace;

/// Cheap checks first; generated files before clippy, because checking them rebuilds `crates/db`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    tidy::run(workspace)?;
    prepare::run(workspace, true)?;
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ];
    process::run(workspace.cargo().args(clippy))?;
    let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    process::run(workspace.cargo().env("RUSTDOCFLAGS", "--deny warnings").args(doc))?;
    run_if_installed(workspace, "deny", &["check"])?;
    run_if_installed(workspace, "machete", &[])
}

/// These two take minutes to build, so a fresh machine goes without them, and is told so.
fn run_if_installed(workspace: &Workspace, tool: &str, args: &[&str]) -> Result<()> {
    if process::output(Command::new("cargo").args([tool, "--version"])).is_err() {
        println!(
            "cargo-{tool} is not installed, so its checks were NOT run: cargo install --locked cargo-{tool}"
        );
        return Ok(());
    }
    process::run(workspace.cargo().arg(tool).args(args))
}
