//! IDENTIFY and RESUME.

use std::time::Instant;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::discord::{
    gateway::{
        Outgoing,
        budget::Admission,
        close::CloseCode,
        intents::{self, GUILDS},
        log::{GatewayEntry, GatewayStep},
        session::Session,
    },
    json,
    state::World,
};

/// A client on a connection: which session it carries, if any.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connection: u64,
    pub(crate) session: Option<String>,
}

#[derive(Deserialize)]
struct Identify {
    token: String,
    properties: serde_json::Map<String, Value>,
    intents: Option<u64>,
    shard: Option<(u64, u64)>,
    large_threshold: Option<usize>,
}

#[derive(Deserialize)]
struct Resume {
    token: String,
    session_id: String,
    seq: u64,
}

impl World {
    /// Starts a session.
    pub(crate) fn identify(
        &mut self,
        peer: &mut Peer,
        data: Value,
        gateway_url: &str,
        now: DateTime<Utc>,
    ) -> Result<(), CloseCode> {
        if self.carries(peer) {
            return Err(CloseCode::AlreadyAuthenticated);
        }
        let identify: Identify = serde_json::from_value(data).map_err(|_| CloseCode::DecodeError)?;
        if identify.properties.is_empty() {
            return Err(CloseCode::DecodeError);
        }
        self.require_bot_token(&identify.token)?;
        let shard = identify.shard.unwrap_or((0, 1));
        if shard.0 >= shard.1 {
            return Err(CloseCode::InvalidShard);
        }
        let intents = identify.intents.ok_or(CloseCode::InvalidIntents)?;
        intents::check(intents, self.privileged_intents())?;
        match self.gateway.budget.admit(Instant::now()) {
            Admission::Granted => {}
            Admission::TooSoon => {
                self.invalid_session(peer, false, now);
                return Ok(());
            }
            Admission::Exhausted => {
                self.bot_token = None;
                self.gateway.end_sessions(CloseCode::AuthenticationFailed);
                return Err(CloseCode::AuthenticationFailed);
            }
        }
        if self.gateway.switches.no_session {
            let session = "never answered".to_owned();
            self.note(peer, GatewayStep::Identified { session, intents }, now);
            return Ok(());
        }
        let mut session = Session::new(self.ids.secret("session"), peer.connection, intents, shard);
        session.large_threshold = identify.large_threshold.unwrap_or(50).clamp(50, 250);
        self.welcome(peer, session, gateway_url, now);
        Ok(())
    }

    /// READY, then one `GUILD_CREATE` for each guild.
    fn welcome(&mut self, peer: &mut Peer, session: Session, gateway_url: &str, now: DateTime<Utc>) {
        let bot = self.bot();
        let in_guild = self
            .guilds
            .values()
            .filter(|guild| guild.members.contains_key(&bot));
        let guilds: Vec<u64> = in_guild
            .map(|guild| guild.id)
            .filter(|id| session.covers(*id))
            .collect();
        let away: Vec<Value> = guilds
            .iter()
            .map(|id| json!({"id": id.to_string(), "unavailable": true}))
            .collect();
        let user = self.users.get(&bot).map(|user| json::current_user(user, true));
        let ready = json!({
            "v": 10,
            "user": user,
            "guilds": away,
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": format!("{gateway_url}/resume"),
            "shard": session.shard,
            "application": {"id": bot.to_string(), "flags": self.application_flags()},
            "private_channels": [],
            "presences": [],
            "relationships": [],
            "geo_ordered_rtc_regions": [],
            "user_settings": {},
            "_trace": ["[\"simulator\"]"],
        });
        let (id, intents) = (session.id.clone(), session.intents);
        self.note(
            peer,
            GatewayStep::Identified {
                session: id.clone(),
                intents,
            },
            now,
        );
        peer.session = Some(id.clone());
        self.gateway.sessions.insert(id.clone(), session);
        self.gateway.emit(&id, "READY", &ready);
        for guild in guilds.into_iter().filter(|_| intents & GUILDS != 0) {
            self.emit_guild_create(&id, guild);
        }
    }

    /// Goes on with a session: sends again what was missed, then RESUMED.
    pub(crate) fn resume(
        &mut self,
        peer: &mut Peer,
        data: Value,
        now: DateTime<Utc>,
    ) -> Result<(), CloseCode> {
        if self.carries(peer) {
            return Err(CloseCode::AlreadyAuthenticated);
        }
        let resume: Resume = serde_json::from_value(data).map_err(|_| CloseCode::DecodeError)?;
        self.require_bot_token(&resume.token)?;
        if self.gateway.switches.no_session {
            return Ok(());
        }
        let lifetime = self.gateway.config.session_lifetime;
        self.gateway
            .sessions
            .retain(|_, session| !session.expired(lifetime));
        let Some(session) = self.gateway.sessions.get_mut(&resume.session_id) else {
            self.invalid_session(peer, false, now);
            return Ok(());
        };
        if resume.seq > session.sequence {
            return Err(CloseCode::InvalidSequence);
        }
        let Some(missed) = session.events_after(resume.seq) else {
            self.gateway.sessions.remove(&resume.session_id);
            self.invalid_session(peer, false, now);
            return Ok(());
        };
        session.disconnected_at = None;
        let left_over = session.connection.replace(peer.connection);
        if let Some(connection) = left_over {
            self.gateway
                .deliver(connection, Outgoing::Close(CloseCode::GoingAway));
        }
        let step = GatewayStep::Resumed {
            session: resume.session_id.clone(),
            replayed: missed.len(),
        };
        self.note(peer, step, now);
        peer.session = Some(resume.session_id.clone());
        if !self.gateway.switches.silent {
            for event in missed {
                self.gateway.deliver(peer.connection, Outgoing::Text(event));
            }
        }
        self.gateway.emit(
            &resume.session_id,
            "RESUMED",
            &json!({"_trace": ["[\"simulator\"]"]}),
        );
        Ok(())
    }

    /// Whether the connection carries a session that still is.
    pub(crate) fn carries(&self, peer: &Peer) -> bool {
        let session = peer.session.as_ref().and_then(|id| self.gateway.sessions.get(id));
        session.is_some_and(|session| session.connection == Some(peer.connection))
    }

    /// Op 9.
    pub(crate) fn invalid_session(&mut self, peer: &Peer, resumable: bool, now: DateTime<Utc>) {
        self.gateway.send(peer.connection, 9, &Value::Bool(resumable));
        self.note(peer, GatewayStep::InvalidSession { resumable }, now);
    }

    /// Writes the gateway's log.
    pub(crate) fn note(&mut self, peer: &Peer, step: GatewayStep, now: DateTime<Utc>) {
        self.gateway.log.push(GatewayEntry {
            at: now,
            connection: peer.connection,
            step,
        });
    }

    /// The flags of an application below the review line: which privileged intents it may use.
    pub(crate) fn application_flags(&self) -> u64 {
        let enabled = self.privileged_intents();
        let flags = [
            (enabled.presences, 1 << 13),
            (enabled.members, 1 << 15),
            (enabled.message_content, 1 << 19),
        ];
        flags
            .iter()
            .filter(|(enabled, _)| *enabled)
            .fold(0, |flags, (_, bit)| flags | bit)
    }

    /// The gateway takes the token with and without its scheme.
    fn require_bot_token(&self, token: &str) -> Result<(), CloseCode> {
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        if self.bot_token.as_deref() == Some(token) {
            Ok(())
        } else {
            Err(CloseCode::AuthenticationFailed)
        }
    }
}
