//! A Postgres that keeps what it has committed, across a SIGKILL too.

use std::{path::PathBuf, process::Stdio, sync::Arc};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, Command},
    time::timeout,
};
use url::Url;

use crate::{
    machine,
    ports::free_port,
    servers::{ENDS_WITHIN, Folder, READY_WITHIN, loopback},
    until::until,
};

/// The system outlives the server here, so what was written is kept without reaching the disk. But it must have been
/// written: `synchronous_commit` stays on.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=on",
    "max_connections=200",
    "shared_buffers=64MB",
    "unix_socket_directories=",
];

/// A Postgres server.
#[derive(Debug)]
pub struct Postgres {
    folder: Arc<Folder>,
    programs: PathBuf,
    port: u16,
    /// Over those of every server.
    settings: &'static [&'static str],
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster, starts it, and waits until it answers.
    pub async fn start(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        Self::start_with(folder, &[]).await
    }

    /// The same with some settings otherwise.
    pub async fn start_with(folder: &Arc<Folder>, settings: &'static [&'static str]) -> anyhow::Result<Self> {
        let initdb = machine::program("initdb")
            .context("Postgres is not installed: Debian has it in the package postgresql")?;
        // `initdb` on the `PATH` may be a link to where the others lie.
        let initdb = initdb.canonicalize()?;
        let programs = initdb.parent().context("initdb lies nowhere")?.to_path_buf();
        let mut postgres = Self {
            folder: Arc::clone(folder),
            programs,
            port: free_port(None)?,
            settings,
            child: None,
        };
        let mut command = folder.account.command(&initdb, folder.path());
        command
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--no-locale", "--no-sync", "--pgdata"])
            .arg(postgres.data());
        let output = command.output().await.context("run initdb")?;
        if !output.status.success() {
            bail!("initdb: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        postgres.restart().await?;
        Ok(postgres)
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        loopback(self.port)
    }

    /// Where services find it.
    pub fn url(&self) -> anyhow::Result<Url> {
        Ok(format!("postgres://postgres@127.0.0.1:{}/postgres", self.port).parse()?)
    }

    /// Kills the server; its children end as soon as they notice.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            timeout(ENDS_WITHIN, child.kill())
                .await
                .context("kill postgres")??;
        }
        Ok(())
    }

    /// Starts it again, unless it runs, and waits until it has recovered.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        until("an answer of postgres", READY_WITHIN, async || {
            // It refuses to start as long as a child of the one before is still there.
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?.is_some(),
                None => true,
            };
            if ended {
                self.child = Some(self.spawn()?);
            }
            Ok(self.answers().await?.then_some(()))
        })
        .await
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let (output, errors) = self.folder.log("postgres.log")?;
        let mut command = self
            .folder
            .account
            .command(&self.programs.join("postgres"), self.folder.path());
        command
            .arg("-D")
            .arg(self.data())
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in SETTINGS.iter().chain(self.settings) {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        command.spawn().context("start postgres")
    }

    async fn answers(&self) -> anyhow::Result<bool> {
        let port = self.port.to_string();
        let status = Command::new(self.programs.join("pg_isready"))
            .args(["--quiet", "--host=127.0.0.1", "--port", &port])
            .status();
        Ok(status.await.context("run pg_isready")?.success())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("postgres")
    }
}
