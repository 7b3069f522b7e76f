//! Entry point of `rolecall-api`: configuration, logging, and then `run`.

use std::process::ExitCode;

use clap::Parser;
use rolecall_api::{args::Args, config::ApiConfig, run::run_process};
use rolecall_runtime::env::{EXIT_BAD_CONFIG, Env, Service, check_config_report};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stderr, reason = "before logging is set up")]
async fn main() -> ExitCode {
    // Fails only if a provider was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = Args::parse();
    let config = match Env::from_process().read(Service::Api, ApiConfig::from_env) {
        Ok(_) if args.check_config => return ExitCode::SUCCESS,
        Ok(config) => config,
        Err(error) => {
            eprint!("{}", check_config_report(&error));
            return ExitCode::from(EXIT_BAD_CONFIG);
        }
    };
    match run_process(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}
