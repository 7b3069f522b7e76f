//! The gateway session: what it takes to go on with it, here or in the next process.

use rolecall_domain::ids::DiscordUserId;
use serde::{Deserialize, Serialize};

use crate::world::{State, World, members::Members};

/// The session as it is kept in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedSession {
    /// Discord's id for it.
    pub(crate) id: String,
    /// The last event whose consequences have left this process.
    pub(crate) sequence: u64,
    /// Where to resume it.
    pub(crate) resume_url: String,
    /// What was asked for: another wish needs another session.
    pub(crate) intents: u64,
    /// The bot's account, which only READY tells.
    pub(crate) bot_user_id: DiscordUserId,
}

/// The session of this process.
#[derive(Debug, Clone)]
pub(super) struct Session {
    saved: SavedSession,
    /// The last event that came.
    sequence: u64,
}

impl State {
    /// The number of the last event.
    pub(super) fn sequence(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.sequence)
    }

    pub(super) fn heard(&mut self, sequence: u64) {
        if let Some(session) = &mut self.session {
            session.sequence = sequence;
        }
    }
}

impl World {
    /// A new session has begun: what was known may have changed unheard.
    pub(crate) fn session_started(&self, session: SavedSession) {
        let mut state = self.state();
        state.guilds.clear();
        state.members = Members::default();
        state.bot = Some(session.bot_user_id);
        state.session = Some(Session {
            sequence: session.sequence,
            saved: session,
        });
        state.live = true;
    }

    /// A session of an earlier process is going to be resumed.
    pub(crate) fn session_found(&self, session: SavedSession) {
        let mut state = self.state();
        state.bot = Some(session.bot_user_id);
        state.session = Some(Session {
            sequence: session.sequence,
            saved: session,
        });
    }

    /// The session is carried again, and everything missed has been heard.
    pub(crate) fn session_resumed(&self) {
        let mut state = self.state();
        state.live = true;
        // After a restart: a resumed session does not show the servers again.
        self.doubt_unknown(&mut state);
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&self) {
        self.state().live = false;
    }

    /// Discord does not know the session any more.
    pub(crate) fn session_ended(&self) {
        let mut state = self.state();
        state.session = None;
        state.live = false;
    }

    /// An event could not be read: what it would have changed is not known any more.
    pub(crate) fn missed(&self, kind: &str) {
        let mut state = self.state();
        state.members = Members::default();
        if !kind.starts_with("GUILD_MEMBER") {
            state.doubted.extend(self.ours());
        }
    }

    /// The session to keep: with the number of the last event of which nothing is left to be told, so that whoever
    /// resumes it hears the rest again.
    pub(crate) fn session_to_save(&self) -> Option<SavedSession> {
        let state = self.state();
        let session = state.session.as_ref()?;
        let sequence = match state.outbox.oldest() {
            Some(oldest) => session.sequence.min(oldest.saturating_sub(1)),
            None => session.sequence,
        };
        Some(SavedSession {
            sequence,
            ..session.saved.clone()
        })
    }
}
