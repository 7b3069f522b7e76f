//! The benchmark: what Rolecall does beside what this machine can do at most, measured in the same run.
//!
//! `cargo xtask bench` runs it; `docs/performance.md` tells what each figure means and where it stands.

mod capture;
mod crowd;
mod drain;
mod ground;
mod http;
mod intake;
mod latency;
pub mod limit;
mod pooler;
mod postgres;
pub mod report;
mod roles;
mod services;
mod sql;
pub mod stats;
mod sweep;
mod usage;
mod webhooks;

use std::io::Write;

use anyhow::{Context, bail};
use rolecall_sandbox::clock::Clock;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::bench::{ground::Ground, report::Row};

/// The measures by name, in the order in which they are made.
pub const MEASURES: [&str; 10] = [
    "start", "memory", "intake", "ack", "latency", "behind", "roles", "drain", "pooler", "sweep",
];

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// A tenth of everything: shows that it works, not how fast.
    pub quick: bool,
    /// How often each figure is measured.
    pub runs: usize,
    /// Which measures; all if empty.
    pub only: Vec<String>,
}

impl Options {
    fn size(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(20) } else { full }
    }

    fn wants(&self, measure: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == measure)
    }

    fn check(&self) -> anyhow::Result<()> {
        let unknown = self.only.iter().find(|name| !MEASURES.contains(&name.as_str()));
        if let Some(name) = unknown {
            bail!("there is no measure {name}; there are {}", MEASURES.join(", "));
        }
        if self.runs == 0 {
            bail!("at least one run is needed");
        }
        Ok(())
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// The machine, the versions, the day.
    pub about: Value,
    /// The figures.
    pub rows: Vec<Row>,
    /// Measures that could not be made, and why.
    pub faults: Vec<String>,
}

/// Measures.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    options.check()?;
    let first = Ground::prepare(options.clone()).await?;
    let about = about(&first, &options).await?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut good = Some(first);
    for measure in MEASURES.iter().filter(|measure| options.wants(measure)) {
        let mut ground = match good.take() {
            Some(ground) => ground,
            None => Ground::prepare(options.clone()).await?,
        };
        progress(measure);
        match make(measure, &mut ground).await {
            Ok(measured) => {
                rows.extend(measured);
                good = Some(ground);
            }
            // What it has left behind goes with the ground: the next one begins anew.
            Err(error) => {
                progress(&format!("{measure} failed: {error:#}"));
                faults.push(format!("{measure}: {error:#}"));
            }
        }
    }
    Ok(Report { about, rows, faults })
}

async fn make(measure: &str, ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    match measure {
        "start" => services::measure_start(ground).await,
        "memory" => services::measure_memory(ground).await,
        "intake" => intake::measure(ground).await,
        "ack" => intake::measure_ack(ground).await,
        "latency" => latency::measure(ground).await,
        "behind" => latency::measure_behind(ground).await,
        "roles" => roles::measure(ground).await,
        "drain" => drain::measure(ground).await,
        "sweep" => sweep::measure(ground).await,
        "pooler" => drain::measure_pooled(ground).await,
        _ => bail!("there is no measure {measure}"),
    }
}

/// Tells somebody who waits where it stands.
fn progress(what: &str) {
    // Nobody to tell is no reason to stop.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}

async fn about(ground: &Ground, options: &Options) -> anyhow::Result<Value> {
    let version = sql::ask(&ground.database(), "SHOW server_version").await?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(json!({
        "date": Clock::system().wall().date_naive().to_string(),
        "processor": model.map(|(_, name)| name),
        "processors": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": output("uname", &["-r"]).await?,
        "postgres": version.trim(),
        "redis": output("redis-server", &["--version"]).await?.split_whitespace().nth(2),
        "rust": output("rustc", &["--version"]).await?,
        "commit": output("git", &["rev-parse", "--short", "HEAD"]).await?,
        "runs": options.runs,
        "quick": options.quick,
    }))
}

async fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.with_context(|| format!("run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
