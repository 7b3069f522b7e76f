//! A Redis that keeps what it has answered, across a SIGKILL too.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    time::timeout,
};
use url::Url;

use crate::{
    machine,
    ports::free_port,
    servers::{ENDS_WITHIN, Folder, READY_WITHIN, loopback},
    until::until,
};

/// A Redis server.
#[derive(Debug)]
pub struct Redis {
    folder: Arc<Folder>,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Redis {
    /// Starts it, and waits until it answers.
    pub async fn start(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let program = machine::program("redis-server")
            .context("redis-server is not installed: Debian has it in the package redis-server")?;
        let mut redis = Self {
            folder: Arc::clone(folder),
            program,
            port: free_port(None)?,
            child: None,
        };
        redis.restart().await?;
        Ok(redis)
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        loopback(self.port)
    }

    /// Where services find it.
    pub fn url(&self) -> anyhow::Result<Url> {
        Ok(format!("redis://127.0.0.1:{}", self.port).parse()?)
    }

    /// Kills it as a power cut of its process would. What it has answered is in the system's hands by then.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            timeout(ENDS_WITHIN, child.kill())
                .await
                .context("kill redis-server")??;
        }
        Ok(())
    }

    /// Starts it again, unless it runs, and waits until it answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let (output, errors) = self.folder.log("redis.log")?;
        let mut command = self.folder.account.command(&self.program, self.folder.path());
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--daemonize", "no"])
            .stdin(std::process::Stdio::null())
            .stdout(output)
            .stderr(errors);
        self.child = Some(command.spawn().context("start redis-server")?);
        until("an answer of redis-server", READY_WITHIN, async || {
            Ok((self.ask("PING").await? == "+PONG").then_some(()))
        })
        .await
    }

    /// Whether it was killed and not started again.
    pub fn is_down(&self) -> bool {
        self.child.is_none()
    }

    /// The number that it answers to a command of one line, such as `XLEN key`.
    pub async fn number(&self, command: &str) -> anyhow::Result<i64> {
        let answer = self.ask(command).await?;
        let number = answer.strip_prefix(':').and_then(|number| number.parse().ok());
        number.with_context(|| format!("{command}: {answer}"))
    }

    /// Forgets everything.
    pub async fn flush(&self) -> anyhow::Result<()> {
        let answer = self.ask("FLUSHALL").await?;
        anyhow::ensure!(answer == "+OK", "redis-server did not forget: {answer}");
        Ok(())
    }

    /// The first line that it answers to a command of one line.
    async fn ask(&self, command: &str) -> anyhow::Result<String> {
        let asked = async {
            let mut stream = TcpStream::connect(self.address()).await?;
            stream.write_all(format!("{command}\r\n").as_bytes()).await?;
            let mut answer = [0; 128];
            let size = stream.read(&mut answer).await?;
            let text = String::from_utf8_lossy(answer.get(..size).unwrap_or_default());
            Ok(text.lines().next().unwrap_or_default().to_owned())
        };
        timeout(ENDS_WITHIN, asked)
            .await
            .context("wait for redis-server")?
    }
}
