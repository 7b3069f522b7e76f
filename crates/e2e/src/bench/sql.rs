//! Asking Postgres as an operator would, with `psql`: among the services only `rolecall-db` speaks to it.

use std::path::Path;

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
    let output = command
        .output()
        .await
        .context("run psql, which Debian's package postgresql-client has")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
