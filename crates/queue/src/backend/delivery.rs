//! An entry of the stream on its way through this worker.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use crate::backend::{entry::Entry, shared::InFlight};

/// An entry that was given to this worker.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What it takes to settle it.
    pub(crate) receipt: Arc<Receipt>,
    /// The envelope; empty where the entry has none.
    pub(crate) job: Vec<u8>,
    /// The number of the attempt that running it would be.
    pub(crate) attempt: u32,
    /// How often it may have been run, with this run.
    pub(crate) runs: u32,
}

/// Holds an entry: keeps its heart beating and its place taken, until it is settled.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) entry: String,
    in_flight: Arc<InFlight>,
    _permit: OwnedSemaphorePermit,
}

impl Delivery {
    /// Holds `entry`; nothing if it is held already, because a hiccup let us reclaim it from
    /// ourselves.
    pub(crate) fn new(entry: Entry, in_flight: &Arc<InFlight>, permit: OwnedSemaphorePermit) -> Option<Self> {
        if !in_flight.insert(&entry.id) {
            return None;
        }
        Some(Self {
            attempt: entry.spent.saturating_add(entry.deliveries),
            runs: entry.runs.saturating_add(entry.deliveries),
            job: entry.job,
            receipt: Arc::new(Receipt {
                entry: entry.id,
                in_flight: Arc::clone(in_flight),
                _permit: permit,
            }),
        })
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.in_flight.remove(&self.entry);
    }
}
