//! The project's one front door: `cargo xtask demo`, `test`, `chaos`, `bench`, `lint`, `tidy`, `prepare`, `ci`.
//! Nothing has to be installed first: on Debian, as root, it installs what is missing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's command talks to its terminal"
)]

mod cmd;
mod infra;
mod process;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::workspace::Workspace;

/// Everything a developer of Rolecall runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Start everything on private servers with simulated Stripe and Discord; arguments go to the demo
    Demo {
        /// For example `--scripted`: walk the story without a browser, print its timeline, and exit
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run every test; arguments go to nextest and then only what they select is run
    Test {
        /// For example `-p rolecall-db`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Live through a bad day: everything is killed, cut and emptied under load; arguments go to the day
    Chaos {
        /// For example `--seed 1 --minutes 10`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure everything beside the limits of this machine; arguments go to the benchmark
    Bench {
        /// For example `--quick`, `--only intake,drain`, or `--write` to renew the figures in the documentation
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check formatting, clippy, documentation, tidiness and generated files
    Lint,
    /// Check the rules of the house that no compiler knows
    Tidy,
    /// Renew the generated files: `.sqlx`, `.env.example` and `docs/standings.md`
    Prepare {
        /// Change nothing; fail when they are out of date
        #[arg(long)]
        check: bool,
    },
    /// What continuous integration runs: lint, then test
    Ci,
    /// Hold Postgres and Redis until the parent says stop or is gone (started by `demo`, `test`, `prepare`)
    #[command(hide = true)]
    Guard(infra::guard::GuardArgs),
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    if let Task::Guard(args) = task {
        return infra::guard::run(&args);
    }
    let workspace = Workspace::locate()?;
    match task {
        Task::Demo { args } => cmd::demo::run(&workspace, &args),
        Task::Test { args } => cmd::test::run(&workspace, &args),
        Task::Chaos { args } => cmd::chaos::run(&workspace, &args),
        Task::Bench { args } => cmd::bench::run(&workspace, &args),
        Task::Lint => cmd::lint::run(&workspace),
        Task::Tidy => cmd::tidy::run(&workspace),
        Task::Prepare { check } => cmd::prepare::run(&workspace, check),
        Task::Ci => cmd::lint::run(&workspace).and_then(|()| cmd::test::run(&workspace, &[])),
        Task::Guard(_) => Ok(()),
    }
}
