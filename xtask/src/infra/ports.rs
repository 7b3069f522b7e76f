//! Free ports on the loopback address, and waiting for a server that has been started on one.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A port that nobody listened on just now.
pub(crate) fn free() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until `is_ready`; a server that ends first, or takes too long, is shown with the end of its log.
pub(crate) fn wait_for(child: &mut Child, name: &str, log: &Path, is_ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_ready() {
        if let Some(status) = child.try_wait()? {
            bail!("{name} ended with {status}:\n{}", tail(log));
        }
        if Instant::now() > deadline {
            bail!("{name} was not ready after {PATIENCE:?}:\n{}", tail(log));
        }
        thread::sleep(BETWEEN_LOOKS);
    }
    Ok(())
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
