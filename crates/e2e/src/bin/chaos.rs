//! `rolecall-chaos`: a bad day of any length, by a seed.

use std::{fmt::Write as _, io::Write as _, process::ExitCode, time::Duration};

use clap::Parser;
use rolecall_e2e::{
    chaos::{self, plan::Size},
    machine,
};

/// Kills, cuts, slows and empties everything under a whole installation at work, and then looks whether anything was
/// lost or doubled. Takes servers of its own.
#[derive(Debug, Parser)]
#[command(name = "rolecall-chaos", version)]
struct Args {
    /// What the day is drawn from: the same seed is the same day.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many minutes things go wrong.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,

    /// How many people pay from the beginning; half as many again come during the day.
    #[arg(long, default_value_t = 24)]
    people: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let size = Size {
        lasts: Duration::try_from_secs_f64(args.minutes * 60.0)?,
        residents: args.people,
        newcomers: args.people / 2,
    };
    let name = format!("rolecall_chaos_{}", args.seed);
    let report = chaos::run(&name, &machine::binaries()?, args.seed, size).await?;
    let mut text = String::new();
    let good = report.reckoning.faults.is_empty();
    if !good {
        text.push_str(&report.journal);
    }
    for (figure, value) in &report.reckoning.figures {
        writeln!(text, "{value:>8}  {figure}")?;
    }
    for fault in &report.reckoning.faults {
        writeln!(text, "WRONG: {fault}")?;
    }
    let verdict = if good {
        "Nothing lost, nothing doubled."
    } else {
        "Something is wrong."
    };
    writeln!(text, "Seed {}, {} minutes: {verdict}", args.seed, args.minutes)?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
