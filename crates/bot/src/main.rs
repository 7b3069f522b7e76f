//! Entry point of the bot.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rolecall_bot::config::BotConfig;
use rolecall_runtime::{
    net::listen,
    process::{configure, exit_code},
    shutdown::Shutdown,
    telemetry,
    version::version,
};

/// Keeps the servers as they should be, over one gateway connection. Configured by the environment.
#[derive(Debug, Parser)]
#[command(name = "rolecall-bot", version = version())]
struct Args {
    /// Check the environment, touch no network, and exit: 0 if all is well, 2 with every fault named.
    #[arg(long)]
    check_config: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    match configure(args.check_config, BotConfig::from_env) {
        Ok(config) => exit_code(start(config).await),
        Err(code) => code,
    }
}

/// Sets up what belongs to the process, and runs the service until it has drained.
async fn start(config: BotConfig) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    telemetry::init(&config.telemetry).context("start logging")?;
    let shutdown = Shutdown::new();
    shutdown.on_signals().context("listen for signals")?;
    let health = listen(config.health.address()).context("serve health")?;
    rolecall_bot::run(config, health, shutdown).await
}
