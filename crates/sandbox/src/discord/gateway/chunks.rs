//! Op 8: members on request, in chunks of a thousand.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::discord::{
    gateway::{close::CloseCode, handshake::Peer, intents::GUILD_MEMBERS, log::GatewayStep},
    ids::Snowflake,
    state::World,
};

const CHUNK: usize = 1_000;
/// All members of one guild may be asked for once in this time.
const ALL_MEMBERS_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct RequestMembers {
    guild_id: Snowflake,
    query: Option<String>,
    limit: Option<usize>,
    user_ids: Option<OneOrMany>,
    nonce: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Snowflake>),
    One(Snowflake),
}

impl World {
    /// Answers a request for members, or refuses it with `RATE_LIMITED`.
    pub(crate) fn request_members(
        &mut self,
        peer: &Peer,
        data: Value,
        now: DateTime<Utc>,
    ) -> Result<(), CloseCode> {
        let Some(session_id) = peer.session.clone() else {
            return Err(CloseCode::NotAuthenticated);
        };
        let request: RequestMembers = serde_json::from_value(data).map_err(|_| CloseCode::DecodeError)?;
        if request.query.is_none() && request.user_ids.is_none() {
            return Err(CloseCode::DecodeError);
        }
        let everyone = request.query.as_deref() == Some("") && request.limit.unwrap_or(0) == 0;
        if everyone && !self.may_list_everyone(&session_id, &request, Instant::now()) {
            return Ok(());
        }
        let (members, not_found) = self.select_members(&request);
        let count = members.len().div_ceil(CHUNK).max(1);
        let mut chunks = members.chunks(CHUNK);
        for index in 0..count {
            let mut chunk = json!({
                "guild_id": request.guild_id,
                "members": chunks.next().unwrap_or_default(),
                "chunk_index": index,
                "chunk_count": count,
                "not_found": not_found,
            });
            if let (Some(nonce), Some(chunk)) = (&request.nonce, chunk.as_object_mut()) {
                chunk.insert("nonce".to_owned(), nonce.clone());
            }
            self.gateway.emit(&session_id, "GUILD_MEMBERS_CHUNK", &chunk);
        }
        let step = GatewayStep::RequestedMembers {
            guild: request.guild_id.to_string(),
            chunks: count,
        };
        self.note(peer, step, now);
        Ok(())
    }

    /// The whole list needs the intent, and some patience.
    fn may_list_everyone(&mut self, session_id: &str, request: &RequestMembers, now: Instant) -> bool {
        let session = self.gateway.sessions.get(session_id);
        if session.is_none_or(|session| session.intents & GUILD_MEMBERS == 0) {
            return false;
        }
        let guild = request.guild_id.0;
        let since = self
            .gateway
            .member_requests
            .get(&guild)
            .map(|last| now.duration_since(*last));
        if let Some(since) = since.filter(|since| *since < ALL_MEMBERS_INTERVAL) {
            let wait = ALL_MEMBERS_INTERVAL.saturating_sub(since).as_secs_f64();
            let meta = json!({"guild_id": request.guild_id, "nonce": request.nonce});
            let refusal = json!({"opcode": 8, "retry_after": wait, "meta": meta});
            self.gateway.emit(session_id, "RATE_LIMITED", &refusal);
            return false;
        }
        self.gateway.member_requests.insert(guild, now);
        true
    }

    fn select_members(&self, request: &RequestMembers) -> (Vec<Value>, Vec<Snowflake>) {
        let Ok(guild) = self.guild_of_bot(request.guild_id.0) else {
            return (Vec::new(), Vec::new());
        };
        if let Some(ids) = &request.user_ids {
            let ids = match ids {
                OneOrMany::Many(ids) => ids.as_slice(),
                OneOrMany::One(id) => std::slice::from_ref(id),
            };
            let asked = ids.iter().take(100);
            let found = asked.clone().filter_map(|id| guild.members.get(&id.0));
            let missing = asked.filter(|id| !guild.members.contains_key(&id.0)).copied();
            return (
                found.map(|member| self.member_json(member)).collect(),
                missing.collect(),
            );
        }
        let query = request.query.as_deref().unwrap_or_default().to_lowercase();
        let limit = match request.limit {
            None | Some(0) if query.is_empty() => usize::MAX,
            limit => limit.unwrap_or(1).clamp(1, 100),
        };
        let matching = guild.members.values().filter(|member| {
            let name = self
                .users
                .get(&member.user)
                .map(|user| user.username.to_lowercase());
            name.is_some_and(|name| name.starts_with(&query))
        });
        (
            matching
                .take(limit)
                .map(|member| self.member_json(member))
                .collect(),
            Vec::new(),
        )
    }
}
