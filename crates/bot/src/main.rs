//! Entry point of the bot.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use rolecall_bot::config::BotConfig;
use rolecall_runtime::{
    env::{EXIT_BAD_CONFIG, Env, check_config_report},
    net::listen,
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
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let config = match BotConfig::from_env(&Env::from_process()) {
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
    rolecall_bot::run(config, health, shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
