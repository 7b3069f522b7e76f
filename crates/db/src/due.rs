//! How much is owed to the outside, by kind: for the metrics.

use crate::{Connection, DbError};

/// Due rows that nobody has seen done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRows {
    /// People in a server whose roles the bot has still to make so.
    pub roles: i64,
    /// Messages that have not left.
    pub messages: i64,
    /// People who are owed a convergence.
    pub convergences: i64,
    /// Trials of which nobody knows yet whether they are the first, or that have still to be ended.
    pub trials: i64,
}

/// Counts them.
pub async fn count_due(conn: &mut Connection) -> Result<DueRows, DbError> {
    Ok(sqlx::query_as!(
        DueRows,
        r#"SELECT (SELECT count(*) FROM member_guilds WHERE state = 'due') AS "roles!",
                  (SELECT count(*) FROM notifications WHERE state IN ('due', 'sending')) AS "messages!",
                  (SELECT count(*) FROM members WHERE converge_due_at IS NOT NULL) AS "convergences!",
                  (SELECT count(*) FROM trials WHERE due_at IS NOT NULL) AS "trials!""#
    )
    .fetch_one(conn)
    .await?)
}
