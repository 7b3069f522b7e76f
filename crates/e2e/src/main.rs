//! `rolecall-demo`: a whole installation to click through, or the main story told by itself.

use std::{io::Write, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use rolecall_e2e::{
    machine::Machine,
    stack::{Stack, StackOptions},
    story,
};
use tokio::signal::unix::{SignalKind, signal};

/// Starts Rolecall with simulated Stripe, Discord and mail, and tells where everything is.
#[derive(Debug, Parser)]
#[command(name = "rolecall-demo", version)]
struct Args {
    /// Walk the main story instead, print what happened when, and exit 0 only if every role was right.
    #[arg(long)]
    scripted: bool,

    /// The port of the pages; another one if it is taken.
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let machine = Machine::find()?;
    let options = StackOptions {
        port: Some(args.port),
        simulator_ports: [Some(4010), Some(4020), Some(4031)],
        ..StackOptions::named("rolecall_demo")
    };
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stack = Stack::start(&machine, options).await?;
    let code = if args.scripted {
        let timeline = story::walk(&stack).await?;
        say(&timeline.text())?;
        let logs = stack.folder().display();
        if timeline.is_good() {
            say("Every role was right at every step.\n")?;
            ExitCode::SUCCESS
        } else {
            say(&format!(
                "Something went wrong; the services' logs are in {logs}\n"
            ))?;
            ExitCode::FAILURE
        }
    } else {
        say(&addresses(&stack))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        say("\nStopping.\n")?;
        ExitCode::SUCCESS
    };
    stack.stop().await?;
    Ok(code)
}

fn addresses(stack: &Stack) -> String {
    let (public_url, stripe, mail) = (stack.public_url(), stack.stripe.origin(), stack.mail.origin());
    let server = format!(
        "{}/guilds/{}",
        stack.discord.origin(),
        rolecall_sandbox::discord::demo::GUILD
    );
    format!(
        "\nRolecall is running.\n\n  \
         Start here          {public_url}\n  \
         Simulated Discord   {server}\n  \
         Simulated Stripe    {stripe}\n  \
         Simulated mailbox   {mail}\n\n\
         Sign in as Ada, buy a plan, and watch her role appear in the simulated server.\n\
         Then let her card fail on the page of the simulated Stripe.\n\
         Ctrl-C stops everything.\n"
    )
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
