//! Memory and age of this process, read at each scrape.

use std::{fs, time::Instant};

use prometheus::{
    Gauge, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

pub(crate) struct ProcessCollector {
    started: Instant,
    resident: IntGauge,
    uptime: Gauge,
}

impl ProcessCollector {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            started: Instant::now(),
            resident: IntGauge::new(
                "process_resident_memory_bytes",
                "Memory that the process occupies.",
            )?,
            uptime: Gauge::new("process_uptime_seconds", "Time since the process started.")?,
        })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.resident.desc(), self.uptime.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.uptime.set(self.started.elapsed().as_secs_f64());
        let mut families = self.uptime.collect();
        // Where there is no /proc the figure is left out rather than shown as zero.
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
            families.extend(self.resident.collect());
        }
        families
    }
}

/// From `status` and not from `statm`, which counts in pages: their size differs between the
/// machines that images are built for.
fn resident_bytes() -> Option<i64> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_resident(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t   9000 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n";
        assert_eq!(parse_resident(status), Some(2_097_152));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_occupies_memory() {
        assert!(
            resident_bytes().is_some_and(|bytes| bytes > 100_000),
            "{:?}",
            resident_bytes()
        );
    }
}
