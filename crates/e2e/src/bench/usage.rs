//! What a process has used, as `/proc` tells.

use anyhow::{Context, bail};
use tokio::process::Command;

/// Reads what processes use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    ticks_per_second: f64,
}

/// Memory in megabytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) rss: f64,
    /// Resident at most since the start.
    pub(crate) peak: f64,
    /// Resident now, shared pages divided among those who share them; where the kernel tells.
    pub(crate) pss: Option<f64>,
}

impl Usage {
    pub(crate) async fn new() -> anyhow::Result<Self> {
        let output = Command::new("getconf").arg("CLK_TCK").output().await?;
        let text = String::from_utf8(output.stdout)?;
        let ticks_per_second = text.trim().parse().context("read CLK_TCK")?;
        Ok(Self { ticks_per_second })
    }

    /// Seconds of processor time, in our code and in the kernel's for us.
    pub(crate) fn cpu_seconds(self, pid: u32) -> anyhow::Result<f64> {
        let text = read(pid, "stat")?;
        ticks(&text)
            .map(|ticks| ticks / self.ticks_per_second)
            .with_context(|| format!("read the processor time of process {pid}"))
    }
}

/// `utime + stime` of a `stat` file. The name, in parentheses, may contain anything.
fn ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The memory of a process.
pub(crate) fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = read(pid, "status")?;
    let field = |name| kilobytes(&status, name).map(|kilobytes| kilobytes / 1024.0);
    let (Some(rss), Some(peak)) = (field("VmRSS:"), field("VmHWM:")) else {
        bail!("process {pid} has no memory");
    };
    let pss = read(pid, "smaps_rollup")
        .ok()
        .and_then(|text| kilobytes(&text, "Pss:"))
        .map(|kilobytes| kilobytes / 1024.0);
    Ok(Memory { rss, peak, pss })
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::read_to_string(&path).with_context(|| format!("read {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) (b c) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 3 0 100 1 1";
        assert_eq!(ticks(stat), Some(42.0));
        assert_eq!(ticks("nonsense"), None);
    }

    #[test]
    fn this_process_has_memory_and_a_peak() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.rss > 0.5 && memory.peak >= memory.rss * 0.9, "{memory:?}");
    }
}
