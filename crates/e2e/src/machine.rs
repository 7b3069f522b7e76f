//! What this machine offers: servers by URL, the built binaries, a place for logs.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
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
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of this crate that reads the environment"
    )]
    pub fn find() -> anyhow::Result<Self> {
        let url = |name: &str| -> anyhow::Result<Url> {
            let text = std::env::var(name).with_context(|| {
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

/// Tests live in `target/debug/deps`, binaries in `target/debug`.
fn binaries() -> anyhow::Result<PathBuf> {
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
