//! Entry point of `rolecall-api`: configuration, logging, and then `run`.

use std::process::ExitCode;

use clap::Parser;
use rolecall_api::{args::Args, config::ApiConfig, run::run_process};
use rolecall_runtime::{
    env::Service,
    process::{configure, exit_code},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // Fails only if a provider was installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = Args::parse();
    match configure(args.check_config, |env| {
        env.read(Service::Api, ApiConfig::from_env)
    }) {
        Ok(config) => exit_code(run_process(config).await),
        Err(code) => code,
    }
}
