//! Entry point of the worker.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rolecall_runtime::{
    env::{EXIT_BAD_CONFIG, Env, check_config_report},
    net::listen,
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
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let config = match WorkerConfig::from_env(&Env::from_process()) {
        Ok(_) if args.check_config => return Ok(ExitCode::SUCCESS),
        Ok(config) => config,
        Err(error) => {
            std::io::Write::write_all(&mut std::io::stderr(), check_config_report(&error).as_bytes())?;
            return Ok(ExitCode::from(EXIT_BAD_CONFIG));
        }
    };
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    telemetry::init(&config.telemetry).context("start logging")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listen for signals")?;
    let health = listen(config.health.address()).context("serve health")?;
    rolecall_worker::run(config, health, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
