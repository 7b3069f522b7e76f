//! `rolecall-bench`: measures the installation beside the limits of the machine; and is the bare server that
//! one of those limits is measured with.

use std::{io::Write, net::SocketAddr, path::PathBuf};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use rolecall_e2e::bench::{self, MEASURES, Options, Report, limit, report};

/// Measures what Rolecall does beside what this machine can do at most.
#[derive(Debug, Parser)]
#[command(name = "rolecall-bench", version)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// A twentieth of everything and one run: shows that it works, not how fast
    #[arg(long)]
    quick: bool,

    /// How often each figure is measured; its median counts
    #[arg(long)]
    runs: Option<usize>,

    /// Only these measures, parted by commas
    #[arg(long, value_delimiter = ',', value_parser = MEASURES)]
    only: Vec<String>,

    /// Put the table into this page, between its two markers
    #[arg(long, num_args = 0..=1, default_missing_value = "docs/performance.md")]
    write: Option<PathBuf>,

    /// Where every figure of every run is kept, as JSON
    #[arg(long, default_value = "target/bench")]
    keep: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the bare server
    #[command(hide = true)]
    LimitServer {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        redis: String,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Command::LimitServer { listen, redis }) = args.command {
        return limit::serve(listen, &redis);
    }
    let options = Options {
        quick: args.quick,
        runs: args.runs.unwrap_or(if args.quick { 1 } else { 5 }),
        only: args.only,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Report { about, rows, faults } = runtime.block_on(bench::run(options))?;

    let document = report::document(&about, &rows);
    std::fs::create_dir_all(&args.keep)?;
    let date = about
        .get("date")
        .and_then(|date| date.as_str())
        .context("no date")?;
    let path = args.keep.join(format!("{date}.json"));
    std::fs::write(&path, serde_json::to_string_pretty(&document)?)?;
    if let Some(page) = &args.write {
        let text = std::fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
        std::fs::write(page, report::put_into(&text, &about, &rows)?)?;
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}\nEvery run: {}", report::table(&rows), path.display())?;
    if !faults.is_empty() {
        bail!("not everything could be measured:\n{}", faults.join("\n"));
    }
    Ok(())
}
