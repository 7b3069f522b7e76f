//! Stopping in stages: drain first, cut off only what does not end in time.

mod tasks;

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use tasks::{RunError, Tasks};

/// The stages of a stop; clones share them.
///
/// | token | set | who watches it |
/// |---|---|---|
/// | `draining` | by the first signal, or by a critical task that ended | intake of work; `/ready` |
/// | `closing` | `DRAIN_DELAY` later | public listeners: proxies have noticed by then |
/// | `aborted` | `DRAIN_TIMEOUT` after that, or by a second signal | whatever still runs |
/// | `finished` | when all work has ended | what work leans on: health listener, lease |
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: CancellationToken,
    closing: CancellationToken,
    aborted: CancellationToken,
    finished: CancellationToken,
}

impl Shutdown {
    /// A process that nobody stops so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Drains at the first SIGTERM or SIGINT and aborts at the second. From here on these signals
    /// no longer end the process by themselves.
    #[expect(
        clippy::disallowed_methods,
        reason = "lives as long as the process: nobody waits for it"
    )]
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            let mut received = async || {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            received().await;
            info!("told to stop: draining");
            shutdown.drain();
            received().await;
            warn!("told to stop again: cutting off what still runs");
            shutdown.abort();
        });
        Ok(())
    }

    /// Begins to drain. A second call changes nothing.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Set when no new work is to be taken.
    pub fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Set when public listeners are to close.
    pub fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Set when running work is to be dropped.
    pub fn aborted(&self) -> CancellationToken {
        self.aborted.clone()
    }

    /// Set when all work has ended and what it leaned on may end too.
    pub fn finished(&self) -> CancellationToken {
        self.finished.clone()
    }

    /// Cuts off what still runs.
    pub fn abort(&self) {
        self.close();
        self.aborted.cancel();
    }

    fn close(&self) {
        self.drain();
        self.closing.cancel();
    }

    fn finish(&self) {
        self.close();
        self.finished.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{self, Command},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn send_signal(name: &str) {
        let status = Command::new("kill")
            .args([name, &process::id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[tokio::test]
    async fn the_first_signal_drains_and_the_second_aborts() {
        let shutdown = Shutdown::new();
        shutdown.on_signals().unwrap();
        assert!(!shutdown.draining().is_cancelled());

        send_signal("-TERM");
        timeout(PATIENCE, shutdown.draining().cancelled()).await.unwrap();
        assert!(!shutdown.aborted().is_cancelled() && !shutdown.closing().is_cancelled());

        send_signal("-INT");
        timeout(PATIENCE, shutdown.aborted().cancelled()).await.unwrap();
        assert!(shutdown.closing().is_cancelled());
    }
}
