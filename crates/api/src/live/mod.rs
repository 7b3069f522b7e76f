//! Live pages: who listens for changes of whom, fed by what the worker publishes.

mod feed;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rolecall_domain::ids::MemberId;
use tokio::sync::Notify;

pub(crate) use feed::follow;
pub(crate) use stream::get_events;

use crate::{config::Limits, error::ApiError};

/// A page that finds no place tries again after this long.
const FULL_FOR: Duration = Duration::from_secs(30);

/// Who listens. Bounded, in all and for each person.
#[derive(Debug)]
pub(crate) struct Hub {
    listeners: Arc<Mutex<Listeners>>,
    most: usize,
    most_per_member: usize,
}

#[derive(Debug, Default)]
struct Listeners {
    by_member: HashMap<MemberId, Vec<Arc<Notify>>>,
    count: usize,
}

/// A place among the listeners, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    listeners: Arc<Mutex<Listeners>>,
    member_id: MemberId,
    changed: Arc<Notify>,
}

impl Hub {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            listeners: Arc::default(),
            most: limits.streams,
            most_per_member: limits.streams_per_member,
        }
    }

    /// Listens for changes of a person.
    pub(crate) fn listen(&self, member_id: MemberId) -> Result<Listener, ApiError> {
        let mut listeners = lock(&self.listeners);
        let of_member = listeners.by_member.get(&member_id).map_or(0, Vec::len);
        if listeners.count >= self.most || of_member >= self.most_per_member {
            return Err(ApiError::RateLimited {
                retry_after: FULL_FOR,
            });
        }
        let changed = Arc::new(Notify::new());
        listeners
            .by_member
            .entry(member_id)
            .or_default()
            .push(Arc::clone(&changed));
        listeners.count += 1;
        Ok(Listener {
            listeners: Arc::clone(&self.listeners),
            member_id,
            changed,
        })
    }

    /// Something about a person changed.
    pub(crate) fn changed(&self, member_id: MemberId) {
        for listener in lock(&self.listeners)
            .by_member
            .get(&member_id)
            .into_iter()
            .flatten()
        {
            listener.notify_one();
        }
    }

    /// Something may have changed about anybody: messages were missed.
    pub(crate) fn all_changed(&self) {
        for listener in lock(&self.listeners).by_member.values().flatten() {
            listener.notify_one();
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        lock(&self.listeners).count
    }
}

impl Listener {
    /// Waits for a change. Several changes that nobody waited for are one.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = lock(&self.listeners);
        listeners.count = listeners.count.saturating_sub(1);
        if let Some(of_member) = listeners.by_member.get_mut(&self.member_id) {
            of_member.retain(|listener| !Arc::ptr_eq(listener, &self.changed));
            if of_member.is_empty() {
                listeners.by_member.remove(&self.member_id);
            }
        }
    }
}

fn lock(listeners: &Mutex<Listeners>) -> MutexGuard<'_, Listeners> {
    listeners.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;

    fn member(number: u128) -> MemberId {
        MemberId::from_uuid(Uuid::from_u128(number))
    }

    fn hub() -> Hub {
        Hub::new(&Limits {
            streams: 3,
            streams_per_member: 2,
            ..Limits::default()
        })
    }

    #[test]
    fn a_change_reaches_those_who_listen_for_that_person() {
        let hub = hub();
        let (mine, other) = (hub.listen(member(1)).unwrap(), hub.listen(member(2)).unwrap());
        hub.changed(member(1));
        hub.changed(member(1));
        assert!(mine.changed().now_or_never().is_some());
        assert!(
            mine.changed().now_or_never().is_none(),
            "two changes at once are one"
        );
        assert!(other.changed().now_or_never().is_none());
        hub.all_changed();
        assert!(other.changed().now_or_never().is_some());
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let hub = hub();
        let first = hub.listen(member(1)).unwrap();
        let _second = hub.listen(member(1)).unwrap();
        assert!(hub.listen(member(1)).is_err(), "a third page of one person");
        let _third = hub.listen(member(2)).unwrap();
        assert!(hub.listen(member(3)).is_err(), "a fourth page in all");
        drop(first);
        assert!(hub.listen(member(3)).is_ok());
        assert_eq!(hub.count(), 2);
    }
}
