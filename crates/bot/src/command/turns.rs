//! One command at a time for a person in a server, and of several only the newest.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedMutexGuard, watch};

use crate::world::Key;

/// People whose newest revision is remembered here. Redis remembers the others.
const REMEMBERED: usize = 20_000;

/// The people for whom commands came.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    lines: Mutex<HashMap<Key, Arc<Line>>>,
}

#[derive(Debug)]
struct Line {
    newest: watch::Sender<i64>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The right to carry out a command for somebody.
#[derive(Debug)]
pub(crate) struct Turn {
    line: Arc<Line>,
    revision: i64,
    _own: OwnedMutexGuard<()>,
}

impl Turns {
    /// Waits until it is this command's turn. `None` if a newer one has come.
    pub(crate) async fn enter(&self, key: Key, revision: i64) -> Option<Turn> {
        let line = self.line(key);
        line.newest.send_if_modified(|newest| {
            let is_newer = revision > *newest;
            *newest = revision.max(*newest);
            is_newer
        });
        let mut newest = line.newest.subscribe();
        let turn = tokio::select! {
            biased;
            // At once, so that those who have been overtaken take up no room.
            _ = newest.wait_for(|newest| *newest > revision) => return None,
            turn = Arc::clone(&line.turn).lock_owned() => turn,
        };
        Some(Turn {
            line,
            revision,
            _own: turn,
        })
    }

    fn line(&self, key: Key) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= REMEMBERED && !lines.contains_key(&key) {
            // Whoever has a command in hand holds a second reference.
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let new = || Line {
            newest: watch::Sender::new(i64::MIN),
            turn: Arc::default(),
        };
        Arc::clone(lines.entry(key).or_insert_with(|| Arc::new(new())))
    }
}

impl Turn {
    /// Whether a newer command is waiting: it will do better.
    pub(crate) fn is_superseded(&self) -> bool {
        *self.line.newest.borrow() > self.revision
    }

    /// Waits until a newer command has come.
    pub(crate) async fn overtaken(&self) {
        let mut newest = self.line.newest.subscribe();
        // The sender lives in the line.
        let _ = newest.wait_for(|newest| *newest > self.revision).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use rolecall_domain::ids::{DiscordUserId, GuildId};

    use super::*;

    fn key(user: u64) -> Key {
        (GuildId::new(1).unwrap(), DiscordUserId::new(user).unwrap())
    }

    #[tokio::test]
    async fn of_those_who_wait_only_the_newest_gets_its_turn() {
        let turns = Turns::default();
        let first = turns.enter(key(1), 1).await.unwrap();
        let (mut second, mut third) = (Box::pin(turns.enter(key(1), 2)), Box::pin(turns.enter(key(1), 3)));
        assert!((&mut second).now_or_never().is_none());
        assert!((&mut third).now_or_never().is_none());
        assert!(second.await.is_none(), "overtaken while it waits");
        assert!(first.is_superseded());
        assert!(
            turns.enter(key(1), 2).await.is_none(),
            "older than one that waits"
        );
        drop(first);
        let third = third.await.unwrap();
        assert!(!third.is_superseded());
    }

    #[tokio::test]
    async fn other_people_do_not_wait() {
        let turns = Turns::default();
        let _first = turns.enter(key(1), 1).await.unwrap();
        assert!(
            turns
                .enter(key(2), 1)
                .now_or_never()
                .is_some_and(|turn| turn.is_some())
        );
    }

    #[tokio::test]
    async fn who_has_the_turn_hears_of_a_newer_one_and_not_of_the_same() {
        let turns = Turns::default();
        let turn = turns.enter(key(1), 5).await.unwrap();
        let mut same = Box::pin(turns.enter(key(1), 5));
        assert!((&mut same).now_or_never().is_none());
        assert!(turn.overtaken().now_or_never().is_none());
        let mut newer = Box::pin(turns.enter(key(1), 6));
        assert!((&mut newer).now_or_never().is_none());
        assert!(turn.overtaken().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_remembered_stays_bounded_and_who_is_at_it_is_not_forgotten() {
        let turns = Turns::default();
        let _at_it = turns.enter(key(1), 5).await.unwrap();
        for user in 2..=u64::try_from(3 * REMEMBERED).unwrap() {
            turns.enter(key(user), 1).await.unwrap();
        }
        assert!(turns.lines.lock().unwrap().len() <= REMEMBERED);
        assert!(turns.enter(key(1), 4).await.is_none());
    }
}
