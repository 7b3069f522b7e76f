//! Sessions: a short access token that is believed as it is, and a refresh token that is asked for
//! in the database, changes with every use, and ends the session when it is used twice.

pub(crate) mod cookies;
pub(crate) mod extract;
pub(crate) mod keys;
pub(crate) mod open;
pub(crate) mod renew;
pub(crate) mod routes;

use chrono::{DateTime, Utc};
use rolecall_db::{Connection, sessions};
use rolecall_domain::ids::{MemberId, SessionId};
use secrecy::SecretString;

use crate::error::ApiError;

/// Who is signed in, and by which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) member_id: MemberId,
    pub(crate) session_id: SessionId,
}

impl SignedIn {
    /// Insists that the session was not ended since its access token was made.
    pub(crate) async fn require_live(
        self,
        conn: &mut Connection,
        now: DateTime<Utc>,
    ) -> Result<(), ApiError> {
        if sessions::is_session_live(conn, self.session_id, now).await? {
            Ok(())
        } else {
            Err(ApiError::SessionEnded)
        }
    }
}

/// A new pair of tokens.
#[derive(Debug)]
pub(crate) struct TokenPair {
    pub(crate) signed_in: SignedIn,
    pub(crate) access: SecretString,
    pub(crate) refresh: SecretString,
    /// When the session ends by itself.
    pub(crate) session_expires_at: DateTime<Utc>,
}
