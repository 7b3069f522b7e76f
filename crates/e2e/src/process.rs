//! A service as a process of its own: started, watched, stopped or killed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::until::until;

/// How long a service may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// A running service.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    health: String,
}

impl Process {
    /// Starts a service with exactly this environment; its output goes to `<folder>/<name>.log`.
    pub fn start(
        binary: &Path,
        name: &str,
        environment: &BTreeMap<String, String>,
        health_port: u16,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let open = || std::fs::OpenOptions::new().create(true).append(true).open(&log);
        let child = Command::new(binary)
            .env_clear()
            .envs(environment)
            .env("HEALTH_PORT", health_port.to_string())
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let health = format!("http://127.0.0.1:{health_port}");
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
            health,
        })
    }

    /// Where it serves health and metrics.
    pub fn health(&self) -> &str {
        &self.health
    }

    /// Everything it has logged.
    pub fn log(&self) -> anyhow::Result<String> {
        std::fs::read_to_string(&self.log).with_context(|| format!("read {}", self.log.display()))
    }

    /// Its process id.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} has ended", self.name))
    }

    /// Whether it has ended, however that came.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// What `/ready` answers.
    pub async fn readiness(&self, client: &reqwest::Client) -> anyhow::Result<serde_json::Value> {
        Ok(client
            .get(format!("{}/ready", self.health))
            .send()
            .await?
            .json()
            .await?)
    }

    /// Waits until it is ready; says what it logged if it never is.
    pub async fn wait_ready(&mut self, client: &reqwest::Client) -> anyhow::Result<()> {
        let url = format!("{}/ready", self.health);
        let name = self.name.clone();
        let what = format!("{name} ready");
        let ready = until(&what, READY_WITHIN, async || {
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended with {status}");
            }
            let response = client.get(&url).send().await?;
            Ok(response.status().is_success().then_some(()))
        });
        ready.await.with_context(|| format!("see {}", self.log.display()))
    }

    /// Sends it a signal, such as `TERM` or `KILL`.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(self.id()?.to_string())
            .status()
            .await?;
        if !status.success() {
            bail!("{} could not be sent {signal}", self.name);
        }
        Ok(())
    }

    /// Waits for its end.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let status = timeout(limit, self.child.wait()).await;
        Ok(status.with_context(|| format!("{} did not end within {limit:?}", self.name))??)
    }

    /// Tells it to drain, and waits for its end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal("TERM").await?;
        self.wait(Duration::from_secs(40)).await
    }

    /// Kills it as a power cut would.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("kill {}", self.name))
    }
}
