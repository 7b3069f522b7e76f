//! Opening a session for somebody who has just proved who they are.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    sessions::{Session, insert_refresh_token, insert_session},
};
use rolecall_domain::ids::{MemberId, RefreshTokenId, SessionId};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    error::ApiError,
    session::{SignedIn, TokenPair, keys::SessionKeys},
    state::State,
};

/// How long a session lasts, however much it is used.
const SESSION_LIFETIME: TimeDelta = TimeDelta::days(30);

/// So much of what a browser calls itself is kept.
const MOST_CHARACTERS: usize = 200;

/// Opens a session in the caller's transaction.
pub(crate) async fn open_session(
    conn: &mut Connection,
    state: &State,
    member_id: MemberId,
    user_agent: &str,
    now: DateTime<Utc>,
) -> Result<TokenPair, ApiError> {
    let session = Session {
        id: SessionId::generate(now, &*state.rng),
        member_id,
        user_agent: user_agent.chars().take(MOST_CHARACTERS).collect(),
        created_at: now,
        last_used_at: now,
        expires_at: now + SESSION_LIFETIME,
    };
    insert_session(conn, &session).await?;
    let signed_in = SignedIn {
        member_id,
        session_id: session.id,
    };
    let refresh = add_refresh_token(conn, state, session.id, now).await?;
    Ok(TokenPair {
        signed_in,
        access: state.keys.sign_access(signed_in, now)?,
        refresh,
        session_expires_at: session.expires_at,
    })
}

/// Adds a refresh token to a session.
pub(crate) async fn add_refresh_token(
    conn: &mut Connection,
    state: &State,
    session_id: SessionId,
    now: DateTime<Utc>,
) -> Result<SecretString, ApiError> {
    let token = SessionKeys::new_refresh(&*state.rng);
    let hash = state.keys.refresh_hash(token.expose_secret());
    insert_refresh_token(
        conn,
        RefreshTokenId::generate(now, &*state.rng),
        session_id,
        &hash,
        now,
    )
    .await?;
    Ok(token)
}
