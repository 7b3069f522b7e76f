//! `rolecall jobs queues`: how full they are.

use std::process::ExitCode;

use rolecall_queue::{Queue, stats};
use rolecall_runtime::env::Env;
use serde::Serialize;

use crate::{
    config,
    host::{link, now},
    output::Printer,
};

#[derive(Debug, Serialize)]
struct QueueView {
    queue: &'static str,
    /// Waiting or running.
    depth: u64,
    /// Those of them that a worker holds.
    pending: u64,
    delayed: u64,
    dead: u64,
    oldest_age_ms: u64,
}

impl QueueView {
    fn text(&self) -> String {
        format!(
            "{:<20} {:>9} {:>8} {:>8} {:>6} {:>9} s",
            self.queue,
            self.depth,
            self.pending,
            self.delayed,
            self.dead,
            self.oldest_age_ms / 1_000
        )
    }
}

pub(super) async fn list(env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    let link = link(&config::redis(env)?)?;
    let mut queues = Vec::new();
    for queue in Queue::ALL {
        let stats = stats(&link, queue, now()).await?;
        queues.push(QueueView {
            queue: queue.name(),
            depth: stats.depth,
            pending: stats.pending,
            delayed: stats.delayed,
            dead: stats.dead,
            oldest_age_ms: u64::try_from(stats.oldest_age.as_millis()).unwrap_or(u64::MAX),
        });
    }
    printer.answer(&queues, |queues| {
        let head = format!(
            "{:<20} {:>9} {:>8} {:>8} {:>6} {:>11}",
            "queue", "depth", "held", "delayed", "dead", "oldest"
        );
        let lines = queues.iter().map(QueueView::text);
        std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
