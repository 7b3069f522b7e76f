//! Asking Postgres as an operator would, with `psql` and `pgbench`: only `rolecall-db` speaks to it otherwise.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use tokio::process::Command;
use url::Url;

/// Runs statements; what they answered, a line a row, columns parted by `|`.
pub(crate) async fn ask(database: &Url, statements: &str) -> anyhow::Result<String> {
    psql(
        database,
        &["--tuples-only", "--no-align", "--command", statements],
    )
    .await
}

/// Runs a file of statements.
pub(crate) async fn run_file(database: &Url, path: &Path) -> anyhow::Result<()> {
    psql(database, &["--file", &path.to_string_lossy()])
        .await
        .map(drop)
}

/// Ends every session on a database: a pooler's, which outlive those who used them.
pub(crate) async fn end_sessions(server: &Url, database: &str) -> anyhow::Result<()> {
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{database}'"
    );
    ask(server, &end).await.map(drop)
}

/// Makes `copy` anew with all that `original` has. Nobody may be at work on either.
pub(crate) async fn copy_database(server: &Url, original: &str, copy: &str) -> anyhow::Result<()> {
    end_sessions(server, original).await?;
    ask(
        server,
        &format!("DROP DATABASE IF EXISTS \"{copy}\" WITH (FORCE)"),
    )
    .await?;
    ask(
        server,
        &format!("CREATE DATABASE \"{copy}\" TEMPLATE \"{original}\""),
    )
    .await?;
    Ok(())
}

async fn psql(database: &Url, options: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("psql");
    command
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname"])
        .arg(database.as_str())
        .args(options);
    run(&mut command, "psql").await
}

/// Has `pgbench` run a script once for each client; returns how long all of them took together.
pub(crate) async fn pgbench(database: &Url, script: &Path, clients: usize) -> anyhow::Result<Duration> {
    let mut command = Command::new("pgbench");
    let clients_text = clients.to_string();
    command
        .args([
            "--no-vacuum",
            "--transactions=1",
            "--jobs=1",
            "--client",
            &clients_text,
            "--file",
        ])
        .arg(script)
        .arg(database.as_str());
    let output = run(&mut command, "pgbench").await?;
    let per_second = transactions_per_second(&output).with_context(|| format!("read {output}"))?;
    let clients = u32::try_from(clients)?;
    Ok(Duration::from_secs_f64(f64::from(clients) / per_second))
}

/// Of pgbench's report: the time for connecting does not count.
fn transactions_per_second(report: &str) -> Option<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "))?;
    let per_second: f64 = line.split_whitespace().next()?.parse().ok()?;
    (per_second > 0.0).then_some(per_second)
}

async fn run(command: &mut Command, name: &str) -> anyhow::Result<String> {
    let output = command
        .output()
        .await
        .with_context(|| format!("run {name}, which Debian's package postgresql has"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name}: {}", errors.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_pgbench_is_read() {
        let report = "number of transactions actually processed: 3/3\n\
                      latency average = 1500.000 ms\ntps = 2.000000 (without initial connection time)\n";
        assert_eq!(transactions_per_second(report), Some(2.0));
        assert_eq!(transactions_per_second("nothing"), None);
    }
}
