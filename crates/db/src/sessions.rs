//! Signed-in browsers and their rotating refresh tokens: `sessions`, `refresh_tokens`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{MemberId, RefreshTokenId, SessionId};

use crate::{Connection, DbError, error::one_row};

/// A signed-in browser or API client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Our id.
    pub id: SessionId,
    /// Who is signed in.
    pub member_id: MemberId,
    /// What the browser calls itself.
    pub user_agent: String,
    /// When they signed in.
    pub created_at: DateTime<Utc>,
    /// When a token of the session was last renewed.
    pub last_used_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A refresh token with what decides whether it may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Our id.
    pub id: RefreshTokenId,
    /// Its session.
    pub session_id: SessionId,
    /// Whose session.
    pub member_id: MemberId,
    /// When it was used first, if it was.
    pub used_at: Option<DateTime<Utc>>,
    /// When the session ends by itself.
    pub session_expires_at: DateTime<Utc>,
    /// When the session was ended, if it was.
    pub session_revoked_at: Option<DateTime<Utc>>,
}

/// Opens a session.
pub async fn insert_session(conn: &mut Connection, session: &Session) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO sessions (id, member_id, user_agent, created_at, last_used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        session.id.as_uuid(),
        session.member_id.as_uuid(),
        session.user_agent,
        session.created_at,
        session.last_used_at,
        session.expires_at,
    )
    .execute(conn)
    .await?;
    one_row("sessions", &done)
}

/// Whether the session is neither ended nor over.
pub async fn is_session_live(
    conn: &mut Connection,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM sessions WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2) AS "live!""#,
        id.as_uuid(),
        now
    )
    .fetch_one(conn)
    .await?)
}

/// The live sessions of a person, the newest first.
pub async fn list_sessions(
    conn: &mut Connection,
    member_id: MemberId,
    now: DateTime<Utc>,
) -> Result<Vec<Session>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, member_id, user_agent, created_at, last_used_at, expires_at FROM sessions
         WHERE member_id = $1 AND revoked_at IS NULL AND expires_at > $2
         ORDER BY last_used_at DESC",
        member_id.as_uuid(),
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Session {
            id: SessionId::from_uuid(row.id),
            member_id: MemberId::from_uuid(row.member_id),
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
        })
        .collect())
}

/// Ends one session.
pub async fn revoke_session(conn: &mut Connection, id: SessionId, now: DateTime<Utc>) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends every session of a person. Returns how many were live.
pub async fn revoke_sessions_of(
    conn: &mut Connection,
    member_id: MemberId,
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE sessions SET revoked_at = $2 WHERE member_id = $1 AND revoked_at IS NULL AND expires_at > $2",
        member_id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Notes that a session was used.
pub async fn set_session_used(
    conn: &mut Connection,
    id: SessionId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE sessions SET last_used_at = $2 WHERE id = $1",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    one_row("sessions", &done)
}

/// Adds a refresh token to a session; only its hash is kept.
pub async fn insert_refresh_token(
    conn: &mut Connection,
    id: RefreshTokenId,
    session_id: SessionId,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO refresh_tokens (id, session_id, hash, created_at) VALUES ($1, $2, $3, $4)",
        id.as_uuid(),
        session_id.as_uuid(),
        hash,
        now,
    )
    .execute(conn)
    .await?;
    one_row("refresh_tokens", &done)
}

/// Locks the refresh token with this hash, so that two tabs cannot both be the first to use it.
pub async fn lock_refresh_token(conn: &mut Connection, hash: &[u8]) -> Result<Option<RefreshToken>, DbError> {
    let row = sqlx::query!(
        "SELECT t.id, t.session_id, t.used_at, s.member_id, s.expires_at, s.revoked_at
         FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id
         WHERE t.hash = $1
         FOR UPDATE",
        hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| RefreshToken {
        id: RefreshTokenId::from_uuid(row.id),
        session_id: SessionId::from_uuid(row.session_id),
        member_id: MemberId::from_uuid(row.member_id),
        used_at: row.used_at,
        session_expires_at: row.expires_at,
        session_revoked_at: row.revoked_at,
    }))
}

/// Notes the first use of a refresh token.
pub async fn set_refresh_token_used(
    conn: &mut Connection,
    id: RefreshTokenId,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE refresh_tokens SET used_at = coalesce(used_at, $2) WHERE id = $1",
        id.as_uuid(),
        now
    )
    .execute(conn)
    .await?;
    one_row("refresh_tokens", &done)
}

/// Forgets sessions that ended before `before`, with their tokens. Returns how many.
pub async fn delete_sessions_before(conn: &mut Connection, before: DateTime<Utc>) -> Result<u64, DbError> {
    sqlx::query!(
        "DELETE FROM refresh_tokens WHERE session_id IN (
           SELECT id FROM sessions WHERE expires_at < $1 OR revoked_at < $1)",
        before
    )
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1",
        before
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
