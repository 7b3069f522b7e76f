//! Exchanging a refresh token for a new pair. A token that comes again was copied, unless it comes
//! at once: two tabs may wake up together.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    sessions::{RefreshToken, lock_refresh_token, revoke_session, set_refresh_token_used, set_session_used},
};
use rolecall_domain::ids::AuditId;
use serde_json::json;

use crate::{
    error::ApiError,
    session::{SignedIn, TokenPair, open::add_refresh_token},
    state::State,
};

/// How long after its first use a token may be used again.
const TOLERANCE: TimeDelta = TimeDelta::seconds(10);

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Over,
    Reused,
}

/// A new pair for a refresh token.
pub(crate) async fn renew(state: &State, token: &str) -> Result<TokenPair, ApiError> {
    let now = state.now();
    let hash = state.keys.refresh_hash(token);
    let mut tx = state.database.begin().await?;
    let Some(token) = lock_refresh_token(&mut tx, &hash).await? else {
        return Err(ApiError::NotSignedIn);
    };
    match judge(&token, now) {
        Verdict::Over => return Err(ApiError::SessionEnded),
        Verdict::Reused => {
            revoke_session(&mut tx, token.session_id, now).await?;
            insert_audit_line(&mut tx, &reuse(state, &token, now)).await?;
            tx.commit().await?;
            tracing::warn!(
                member.id = %token.member_id,
                session.id = %token.session_id,
                "a refresh token was used twice: the session is ended"
            );
            return Err(ApiError::SessionEnded);
        }
        Verdict::Good => {}
    }
    set_refresh_token_used(&mut tx, token.id, now).await?;
    set_session_used(&mut tx, token.session_id, now).await?;
    let refresh = add_refresh_token(&mut tx, state, token.session_id, now).await?;
    let signed_in = SignedIn {
        member_id: token.member_id,
        session_id: token.session_id,
    };
    let access = state.keys.sign_access(signed_in, now)?;
    tx.commit().await?;
    Ok(TokenPair {
        signed_in,
        access,
        refresh,
        session_expires_at: token.session_expires_at,
    })
}

fn judge(token: &RefreshToken, now: DateTime<Utc>) -> Verdict {
    if token.session_revoked_at.is_some() || token.session_expires_at <= now {
        return Verdict::Over;
    }
    match token.used_at {
        Some(used_at) if now - used_at > TOLERANCE => Verdict::Reused,
        _ => Verdict::Good,
    }
}

fn reuse(state: &State, token: &RefreshToken, now: DateTime<Utc>) -> AuditLine<'static> {
    AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: "system",
        action: "session.ended",
        member_id: Some(token.member_id),
        subject: "refresh_token",
        detail: json!({"session_id": token.session_id, "reason": "refresh_token_reused"}),
    }
}

#[cfg(test)]
mod tests {
    use rolecall_domain::ids::{MemberId, RefreshTokenId, SessionId};
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    #[track_caller]
    fn check(used: Option<i64>, revoked: Option<i64>, now: i64, expected: &Verdict) {
        let token = RefreshToken {
            id: RefreshTokenId::from_uuid(Uuid::nil()),
            session_id: SessionId::from_uuid(Uuid::nil()),
            member_id: MemberId::from_uuid(Uuid::nil()),
            used_at: used.map(at),
            session_expires_at: at(1000),
            session_revoked_at: revoked.map(at),
        };
        assert_eq!(
            judge(&token, at(now)),
            *expected,
            "used {used:?}, revoked {revoked:?}, now {now}"
        );
    }

    #[test]
    fn a_token_is_good_once_and_for_ten_seconds_more() {
        check(None, None, 5, &Verdict::Good);
        check(Some(5), None, 15, &Verdict::Good);
        check(Some(5), None, 16, &Verdict::Reused);
    }

    #[test]
    fn nothing_revives_a_session_that_is_over() {
        check(None, Some(3), 5, &Verdict::Over);
        check(None, None, 1000, &Verdict::Over);
        check(Some(5), Some(7), 500, &Verdict::Over);
    }
}
