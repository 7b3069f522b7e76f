//! How many commands of a server are carried out at the same time. The others wait without having begun: there they
//! can be overtaken by newer ones and handed back, and no server keeps another from its turn.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rolecall_domain::ids::GuildId;
use rolecall_queue::jobs::Lane;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More than Discord lets out in a window, so that the limiter always has a choice, and enough for its fifty requests
/// a second while each is waited for; few enough that none waits at the limiter for long.
const PLACES: usize = 16;

/// Servers that are remembered without anybody at work in them.
const REMEMBERED: usize = 1_000;

/// What is worked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Desk {
    /// The people of a server, in a lane.
    Server(GuildId, Lane),
    /// Direct messages.
    Messages,
}

/// The places of every desk.
#[derive(Debug, Default)]
pub(crate) struct Places {
    desks: Mutex<HashMap<Desk, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// Waits for a place, in the order of arrival.
    pub(crate) async fn take(&self, desk: Desk) -> Place {
        // It is never closed.
        Place {
            _permit: self.at(desk).acquire_owned().await.ok(),
        }
    }

    fn at(&self, desk: Desk) -> Arc<Semaphore> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if desks.len() >= REMEMBERED && !desks.contains_key(&desk) {
            // Whoever has a place or waits for one holds a second reference.
            desks.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let new = || Arc::new(Semaphore::new(PLACES));
        Arc::clone(desks.entry(desk).or_insert_with(new))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn server(id: u64, lane: Lane) -> Desk {
        Desk::Server(GuildId::new(id).unwrap(), lane)
    }

    #[tokio::test]
    async fn a_server_that_is_full_keeps_nobody_else_waiting() {
        let places = Places::default();
        let mut taken: Vec<Place> = Vec::new();
        for _ in 0..PLACES {
            taken.push(places.take(server(1, Lane::Bulk)).await);
        }
        let is_free = |desk| places.take(desk).now_or_never().is_some();
        assert!(!is_free(server(1, Lane::Bulk)));
        assert!(is_free(server(1, Lane::Now)));
        assert!(is_free(server(2, Lane::Bulk)));
        assert!(is_free(Desk::Messages));
        taken.pop();
        assert!(is_free(server(1, Lane::Bulk)));
    }

    #[tokio::test]
    async fn servers_without_work_are_forgotten_and_those_with_work_are_not() {
        let places = Places::default();
        let _at_work = places.take(server(1, Lane::Now)).await;
        for id in 2..3_000 {
            places.take(server(id, Lane::Now)).await;
        }
        let desks = places.desks.lock().unwrap();
        assert!(desks.len() <= REMEMBERED);
        assert!(desks.contains_key(&server(1, Lane::Now)));
    }
}
