//! What this machine offers: servers by URL, the built binaries, a place for logs.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tokio::process::Command;
use url::Url;

/// What `cargo xtask test` and `cargo xtask demo` hand over.
#[derive(Debug, Clone)]
pub struct Machine {
    /// A Postgres in which databases may be made.
    pub postgres: Url,
    /// A Redis; every stack takes a namespace of its own in it.
    pub redis: Url,
    /// Where the services were built.
    pub binaries: PathBuf,
}

impl Machine {
    /// Reads `DATABASE_URL` and `REDIS_URL`, and finds the binaries beside this program.
    pub fn find() -> anyhow::Result<Self> {
        let url = |name: &str| -> anyhow::Result<Url> {
            let text = variable(name).with_context(|| {
                format!("{name} is not set: run this through `cargo xtask test` or `cargo xtask demo`")
            })?;
            text.parse().with_context(|| format!("{name} is not a URL"))
        };
        Ok(Self {
            postgres: url("DATABASE_URL")?,
            redis: url("REDIS_URL")?,
            binaries: binaries()?,
        })
    }

    /// Servers of one's own, and the binaries beside this program.
    pub fn with_servers(postgres: Url, redis: Url) -> anyhow::Result<Self> {
        Ok(Self {
            postgres,
            redis,
            binaries: binaries()?,
        })
    }

    /// The path of a built binary.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// The URL of a database on this Postgres.
    pub fn database(&self, name: &str) -> Url {
        let mut url = self.postgres.clone();
        url.set_path(name);
        url
    }

    /// A folder below `target/` for logs and pictures.
    pub fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let target = self.binaries.parent().unwrap_or(&self.binaries);
        let folder = target.join("e2e").join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }
}

/// Asks Postgres as the operator would, since only `rolecall-db` speaks to it: the first column of each row, as text.
pub async fn sql(database: &Url, statements: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set", "ON_ERROR_STOP=1", "--dbname", database.as_str()])
        .args(["--command", statements])
        .output()
        .await
        .context("run psql, which Debian's package postgresql-client has")?;
    if !output.status.success() {
        bail!("psql: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A number by which a test can be made longer; `default` if the environment does not say.
pub fn number(name: &str, default: u32) -> anyhow::Result<u32> {
    variable(name).map_or(Ok(default), |text| {
        text.parse().with_context(|| format!("{name} is not a number"))
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a program of the system lies: on the `PATH`, or where Debian hides servers; the newest Postgres first.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut hidden: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    hidden.sort();
    hidden.reverse();
    hidden.push(PathBuf::from("/usr/sbin"));
    std::env::split_paths(&path)
        .chain(hidden)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// Where the services were built: tests live in `target/debug/deps`, binaries in `target/debug`.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("find this program")?;
    let found = program
        .ancestors()
        .skip(1)
        .take(2)
        .find(|folder| folder.join("rolecall-api").is_file());
    match found {
        Some(folder) => Ok(Path::to_path_buf(folder)),
        None => bail!(
            "the services are not built beside {}: run `cargo build --workspace --bins` or `cargo xtask test`",
            program.display()
        ),
    }
}
