//! `cargo xtask test`: every test there is, on servers of its own.

use std::process::Command;

use anyhow::Result;

use crate::infra::{self, Infra, Tool};
use crate::process;
use crate::workspace::Workspace;

/// Runs the whole suite, or with `args` only what they select.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args.is_empty() {
        infra::ensure_all_tools()?;
    } else {
        name_missing_tools();
    }
    let infra = Infra::start(workspace)?;
    // System tests start the services as processes, so these must be as new as the tests.
    process::run(&mut workspace.build_programs())?;
    // Examples in documentation first, so that the last line counts the tests that matter.
    if args.is_empty() {
        process::run(
            infra
                .pass_to(&mut workspace.cargo())
                .args(["test", "--workspace", "--doc"]),
        )?;
    }
    process::run(infra.pass_to(&mut runner(workspace)).args(args))
}

fn runner(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    if process::output(Command::new("cargo").args(["nextest", "--version"])).is_ok() {
        command.args(["nextest", "run", "--workspace"]);
    } else {
        println!("cargo-nextest is not installed: running the tests with plain `cargo test`.");
        command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    }
    command
}

/// A part of the suite may not need every tool; a test that does fails and says so itself.
fn name_missing_tools() {
    let missing: Vec<_> = Tool::ALL
        .into_iter()
        .filter(|tool| tool.find().is_none())
        .collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.into_iter().map(Tool::package).collect();
        println!(
            "Not installed: {}. Tests that need them will fail.",
            names.join(", ")
        );
    }
}
