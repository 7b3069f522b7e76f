//! Entry point of the worker.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rolecall_runtime::{
    net::listen,
    process::{configure, exit_code},
    shutdown::Shutdown,
    telemetry,
    version::version,
};
use rolecall_worker::config::WorkerConfig;

/// Drains the queues into Postgres, and runs what recurs. Configured by the environment.
#[derive(Debug, Parser)]
#[command(name = "rolecall-worker", version = version())]
struct Args {
    /// Check the environment, touch no network, and exit: 0 if all is well, 2 with every fault named.
    #[arg(long)]
    check_config: bool,
}

// One thread: the work is waiting, and a second one would be woken up for every answer of the first.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match configure(args.check_config, WorkerConfig::from_env) {
        Ok(config) => exit_code(start(config).await),
        Err(code) => code,
    }
}

/// Sets up what belongs to the process, and runs the service until it has drained.
async fn start(config: WorkerConfig) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    telemetry::init(&config.telemetry).context("start logging")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listen for signals")?;
    let health = listen(config.health.address()).context("serve health")?;
    rolecall_worker::run(config, health, shutdown).await
}
