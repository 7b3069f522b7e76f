//! `rolecall`, the operator's command.
//!
//! Exit codes: 0 good, 1 something is wrong with what it was asked to do, 2 wrong use.

mod args;
mod cmd;
mod config;
mod host;
mod output;
mod plans;
mod runs;
mod who;

use std::process::ExitCode;

use clap::Parser;
use rolecall_runtime::env::{ConfigError, EXIT_BAD_CONFIG, Env, check_config_report};

use crate::{args::Args, output::Printer};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let printer = Printer::new(args.json);
    match cmd::run(args.command, &Env::from_process(), &printer).await {
        Ok(code) => code,
        Err(error) => {
            if let Some(faults) = error.downcast_ref::<ConfigError>() {
                printer.error(check_config_report(faults).trim_end());
                return ExitCode::from(EXIT_BAD_CONFIG);
            }
            printer.error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
