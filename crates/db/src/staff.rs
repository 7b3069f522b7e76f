//! Who is staff: `staff`, by Discord account or by verified address.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{DiscordUserId, MemberId};
use uuid::Uuid;

use crate::{Connection, DbError, convert::Snowflake};

/// How a person is named before they may ever have signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaffName {
    /// By Discord account.
    Discord(DiscordUserId),
    /// By verified e-mail address, lower-cased.
    Email(String),
}

/// Makes somebody staff. Says whether they were not before.
pub async fn insert_staff(
    conn: &mut Connection,
    id: Uuid,
    name: &StaffName,
    granted_by: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let (user_id, email) = match name {
        StaffName::Discord(user_id) => (Some(user_id.to_sql()), None),
        StaffName::Email(email) => (None, Some(email)),
    };
    let done = sqlx::query!(
        "INSERT INTO staff (id, discord_user_id, email, granted_at, granted_by) VALUES ($1, $2, lower($3), $4, $5)
         ON CONFLICT DO NOTHING",
        id,
        user_id,
        email,
        now,
        granted_by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether a person is staff, by either of their names.
pub async fn is_staff(conn: &mut Connection, member_id: MemberId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT FROM staff s
             LEFT JOIN discord_accounts d ON d.user_id = s.discord_user_id
             LEFT JOIN members m ON m.email = s.email
             WHERE d.member_id = $1 OR m.id = $1
           ) AS "staff!""#,
        member_id.as_uuid()
    )
    .fetch_one(conn)
    .await?)
}
