//! A session: what one IDENTIFY asked for, and the events it can still be sent again.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::discord::gateway::{Gateway, Outgoing};

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) intents: u64,
    pub(crate) shard: (u64, u64),
    pub(crate) large_threshold: usize,
    /// The connection that carries it now.
    pub(crate) connection: Option<u64>,
    pub(crate) disconnected_at: Option<Instant>,
    /// The number of the last event.
    pub(crate) sequence: u64,
    events: VecDeque<(u64, String)>,
}

impl Session {
    pub(crate) fn new(id: String, connection: u64, intents: u64, shard: (u64, u64)) -> Self {
        Self {
            id,
            intents,
            shard,
            large_threshold: 50,
            connection: Some(connection),
            disconnected_at: None,
            sequence: 0,
            events: VecDeque::new(),
        }
    }

    /// Whether events of this guild are for this session's shard.
    pub(crate) fn covers(&self, guild: u64) -> bool {
        (guild >> 22).checked_rem(self.shard.1) == Some(self.shard.0)
    }

    pub(crate) fn expired(&self, lifetime: Duration) -> bool {
        self.disconnected_at
            .is_some_and(|since| since.elapsed() > lifetime)
    }

    /// The events after `sequence`; `None` if some of them are no longer kept.
    pub(crate) fn events_after(&self, sequence: u64) -> Option<Vec<String>> {
        let missed = self.events.iter().filter(|(number, _)| *number > sequence);
        let events: Vec<String> = missed.map(|(_, event)| event.clone()).collect();
        let wanted = self.sequence.checked_sub(sequence)?;
        (u64::try_from(events.len()) == Ok(wanted)).then_some(events)
    }

    /// Numbers an event and keeps it.
    fn push(&mut self, event: &str, data: &Value, kept: usize) -> String {
        self.sequence += 1;
        let text = json!({"op": 0, "t": event, "s": self.sequence, "d": data}).to_string();
        self.events.push_back((self.sequence, text.clone()));
        while self.events.len() > kept {
            self.events.pop_front();
        }
        text
    }
}

impl Gateway {
    /// Sends an event to one session, or keeps it until the session is resumed.
    pub(crate) fn emit(&mut self, session_id: &str, event: &str, data: &Value) {
        let kept = self.config.replay_events;
        let Some(session) = self.sessions.get_mut(session_id) else {
            return;
        };
        let text = session.push(event, data, kept);
        let connection = session.connection;
        if let Some(connection) = connection.filter(|_| !self.switches.silent) {
            self.deliver(connection, Outgoing::Text(text));
        }
    }

    /// Sends an event to every session that `data_for` has data for.
    pub(crate) fn broadcast(&mut self, event: &str, data_for: impl Fn(&Session) -> Option<Value>) {
        let data: Vec<(String, Value)> = self
            .sessions
            .values()
            .filter_map(|session| data_for(session).map(|data| (session.id.clone(), data)))
            .collect();
        for (session, data) in data {
            self.emit(&session, event, &data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_events_are_replayed_only_while_all_of_them_are_kept() {
        let mut session = Session::new("s".to_owned(), 1, 0, (0, 1));
        for _ in 0..5 {
            session.push("E", &Value::Null, 3);
        }
        assert_eq!(session.events_after(5), Some(vec![]));
        assert_eq!(session.events_after(2).map(|events| events.len()), Some(3));
        assert_eq!(session.events_after(1), None, "event 2 is no longer kept");
        assert_eq!(session.events_after(6), None, "6 was never sent");
    }

    #[test]
    fn a_guild_belongs_to_the_shard_of_its_id() {
        let session = |shard| Session::new("s".to_owned(), 1, 0, (shard, 2));
        assert!(session(1).covers(3 << 22));
        assert!(!session(0).covers(3 << 22));
    }
}
