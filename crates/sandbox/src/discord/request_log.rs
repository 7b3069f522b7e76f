//! Every API request, with its answer: what tests look at afterwards.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// Older entries are dropped above this number.
const KEPT: usize = 100_000;

/// One request to the API and how it was answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RequestEntry {
    /// Counts from 1.
    pub number: u64,
    /// When the answer was made, by the simulator's clock.
    pub at: DateTime<Utc>,
    /// Real milliseconds since the simulator started, for measuring rates.
    pub elapsed_ms: u64,
    /// The `Host` that was asked for: which way the request came, where proxies stand before the simulator.
    pub host: Option<String>,
    /// The method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: String,
    /// The status answered; `None` if the connection was cut instead.
    pub status: Option<u16>,
    /// The rate limit bucket that counted it.
    pub bucket: Option<String>,
    /// `X-Audit-Log-Reason`, decoded.
    pub reason: Option<String>,
    /// The fault that met it.
    pub fault: Option<String>,
}

/// The log of requests.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: VecDeque<RequestEntry>,
    count: u64,
}

impl RequestLog {
    /// Adds an entry, numbering it.
    pub(crate) fn push(&mut self, mut entry: RequestEntry) {
        self.count += 1;
        entry.number = self.count;
        self.entries.push_back(entry);
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    /// The last entries, the newest first.
    pub(crate) fn latest(&self, count: usize) -> impl Iterator<Item = &RequestEntry> {
        self.entries.iter().rev().take(count)
    }

    /// The entries after number `after`, the oldest first.
    pub(crate) fn after(&self, after: u64) -> Vec<RequestEntry> {
        self.entries
            .iter()
            .filter(|entry| entry.number > after)
            .cloned()
            .collect()
    }
}
