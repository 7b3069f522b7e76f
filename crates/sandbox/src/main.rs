//! `rolecall-sandbox`: all simulators in one process, until SIGTERM or SIGINT.

use anyhow::Context as _;
use clap::Parser as _;
use rolecall_sandbox::options::Options;
use rolecall_sandbox::run::Sandbox;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    reason = "the addresses are what the program has to say"
)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let sandbox = Sandbox::start(&options).await?;
    for line in sandbox.addresses() {
        println!("{line}");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}
