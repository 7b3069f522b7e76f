//! A person in a server, and the role command that is owed for them: `member_guilds`.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::ids::{DiscordUserId, GuildId, MemberId};
use rolecall_queue::jobs::Lane;

use crate::{
    Connection, DbError,
    convert::{Snowflake, uuids},
    error::{one_row, rows_written},
};

/// How a person stands in a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuildState {
    /// What was last seen is what should be.
    InSync,
    /// The bot has still to make it so.
    Due,
    /// The person is not in the server.
    WaitingForMember,
    /// The server does not let the bot do it.
    Blocked,
    /// Staff has to agree first.
    Held,
}

impl GuildState {
    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in_sync",
            Self::Due => "due",
            Self::WaitingForMember => "waiting_for_member",
            Self::Blocked => "blocked",
            Self::Held => "held",
        }
    }

    pub(crate) fn from_sql(text: &str) -> Result<Self, DbError> {
        Ok(match text {
            "in_sync" => Self::InSync,
            "due" => Self::Due,
            "waiting_for_member" => Self::WaitingForMember,
            "blocked" => Self::Blocked,
            "held" => Self::Held,
            other => {
                let detail = other.to_owned();
                return Err(DbError::Corrupt {
                    table: "member_guilds",
                    column: "state",
                    detail,
                });
            }
        })
    }
}

/// A person in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberGuild {
    /// The server.
    pub guild_id: GuildId,
    /// The Discord account.
    pub user_id: DiscordUserId,
    /// Whose account it is.
    pub member_id: MemberId,
    /// The newest revision of what should be.
    pub revision: i64,
    /// The newest revision that the bot made so.
    pub applied_revision: i64,
    /// How they stand.
    pub state: GuildState,
    /// Why the server does not let us, in words.
    pub blocked_reason: Option<String>,
    /// Whether somebody is waiting for it.
    pub lane: Lane,
    /// Why the newest revision was made.
    pub reason: String,
    /// The person asked for it, so they may be added to the server.
    pub join_wanted: bool,
    /// When the command is sent again, for a row that is due.
    pub send_at: Option<DateTime<Utc>>,
    /// How often the newest revision was sent.
    pub sends: i32,
    /// Membership screening is not done yet.
    pub screening_pending: bool,
    /// When the bot last looked.
    pub observed_at: Option<DateTime<Utc>>,
    /// The lease holder whose outcome was kept last.
    pub fence: i64,
    /// When what they hold there has ended, they are to be removed from the server.
    pub kick_ahead: bool,
    /// It had ended by then, and they have still to be removed.
    pub kick_due_at: Option<DateTime<Utc>>,
}

/// A new revision that is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// The server.
    pub guild_id: GuildId,
    /// The person's account.
    pub user_id: DiscordUserId,
    /// Whether somebody is waiting for it.
    pub lane: Lane,
    /// Why.
    pub reason: &'a str,
    /// The person asked for it, so they may be added to the server.
    pub join_wanted: bool,
    /// When the command is sent again unless an outcome comes first.
    pub send_at: DateTime<Utc>,
}

macro_rules! member_guild {
    ($row:expr) => {{
        let row = $row;
        Ok(MemberGuild {
            guild_id: GuildId::from_sql("member_guilds", "guild_id", row.guild_id)?,
            user_id: DiscordUserId::from_sql("member_guilds", "user_id", row.user_id)?,
            member_id: MemberId::from_uuid(row.member_id),
            revision: row.revision,
            applied_revision: row.applied_revision,
            state: GuildState::from_sql(&row.state)?,
            blocked_reason: row.blocked_reason,
            lane: lane_from_sql(&row.lane)?,
            reason: row.reason,
            join_wanted: row.join_wanted,
            send_at: row.send_at,
            sends: row.sends,
            screening_pending: row.screening_pending,
            observed_at: row.observed_at,
            fence: row.fence,
            kick_ahead: row.kick_ahead,
            kick_due_at: row.kick_due_at,
        })
    }};
}

fn lane_from_sql(text: &str) -> Result<Lane, DbError> {
    match text {
        "now" => Ok(Lane::Now),
        "bulk" => Ok(Lane::Bulk),
        other => Err(DbError::Corrupt {
            table: "member_guilds",
            column: "lane",
            detail: other.to_owned(),
        }),
    }
}

const fn lane_to_sql(lane: Lane) -> &'static str {
    match lane {
        Lane::Now => "now",
        Lane::Bulk => "bulk",
    }
}

/// Makes the row of a person in a server, in sync with nothing, unless it is there.
pub async fn insert_member_guild(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    member_id: MemberId,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO member_guilds (guild_id, user_id, member_id, revision, applied_revision, state, lane,
                                    reason, join_wanted, sends, screening_pending, fence)
         VALUES ($1, $2, $3, 0, 0, 'in_sync', 'bulk', 'new', false, 0, false, 0)
         ON CONFLICT (guild_id, user_id) DO NOTHING",
        guild_id.to_sql(),
        user_id.to_sql(),
        member_id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks the row until the transaction ends.
pub async fn lock_member_guild(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
) -> Result<Option<MemberGuild>, DbError> {
    let row = sqlx::query!(
        "SELECT * FROM member_guilds WHERE guild_id = $1 AND user_id = $2 FOR UPDATE",
        guild_id.to_sql(),
        user_id.to_sql()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| member_guild!(row)).transpose()
}

/// Every server of a person.
pub async fn list_member_guilds(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Vec<MemberGuild>, DbError> {
    let rows = sqlx::query!(
        "SELECT * FROM member_guilds WHERE member_id = $1 ORDER BY guild_id, user_id",
        member_id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| member_guild!(row)).collect()
}

/// Locks every server of several people until the transaction ends.
pub async fn lock_member_guilds(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<MemberGuild>, DbError> {
    let rows = sqlx::query!(
        "SELECT * FROM member_guilds WHERE member_id = ANY($1) ORDER BY guild_id, user_id FOR UPDATE",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| member_guild!(row)).collect()
}

/// Makes new revisions due, which count as sent once: the caller sends them after the commit. Returns the rows as
/// they are then, in no order.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn set_due(conn: &mut Connection, dues: &[Due<'_>]) -> Result<Vec<MemberGuild>, DbError> {
    let guilds: Vec<i64> = dues.iter().map(|due| due.guild_id.to_sql()).collect();
    let users: Vec<i64> = dues.iter().map(|due| due.user_id.to_sql()).collect();
    let lanes: Vec<&str> = dues.iter().map(|due| lane_to_sql(due.lane)).collect();
    let reasons: Vec<&str> = dues.iter().map(|due| due.reason).collect();
    let joins: Vec<bool> = dues.iter().map(|due| due.join_wanted).collect();
    let times: Vec<DateTime<Utc>> = dues.iter().map(|due| due.send_at).collect();
    let rows = sqlx::query!(
        "UPDATE member_guilds AS m
         SET revision = m.revision + 1, state = 'due', blocked_reason = NULL, lane = u.lane, reason = u.reason,
             join_wanted = m.join_wanted OR u.join_wanted, send_at = u.send_at, sends = 1
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[])
           AS u (guild_id, user_id, lane, reason, join_wanted, send_at)
         WHERE m.guild_id = u.guild_id AND m.user_id = u.user_id
         RETURNING m.*",
        &guilds,
        &users,
        &lanes as &[&str],
        &reasons as &[&str],
        &joins,
        &times,
    )
    .fetch_all(conn)
    .await?;
    rows_written("member_guilds", rows.len(), dues.len())?;
    rows.into_iter().map(|row| member_guild!(row)).collect()
}

/// Sets whether somebody is to be removed from a server when what they hold there has ended, or since when they have
/// still to be.
pub async fn set_kick(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    ahead: bool,
    due_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE member_guilds SET kick_ahead = $3, kick_due_at = $4 WHERE guild_id = $1 AND user_id = $2",
        guild_id.to_sql(),
        user_id.to_sql(),
        ahead,
        due_at,
    )
    .execute(conn)
    .await?;
    one_row("member_guilds", &done)
}

/// Claims rows that are due and whose command has had no outcome in time. They count as sent again,
/// and their next sending is `lease` from now: the caller sets a better one with [`set_send_at`].
pub async fn claim_unanswered(
    conn: &mut Connection,
    now: DateTime<Utc>,
    lease: TimeDelta,
    limit: i64,
) -> Result<Vec<MemberGuild>, DbError> {
    let rows = sqlx::query!(
        "UPDATE member_guilds SET sends = sends + 1, send_at = $2
         WHERE (guild_id, user_id) IN (
           SELECT guild_id, user_id FROM member_guilds WHERE state = 'due' AND send_at <= $1
           ORDER BY send_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING *",
        now,
        now + lease,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| member_guild!(row)).collect()
}

/// Sets when the command of a row is sent again.
pub async fn set_send_at(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    send_at: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE member_guilds SET send_at = $3 WHERE guild_id = $1 AND user_id = $2",
        guild_id.to_sql(),
        user_id.to_sql(),
        send_at,
    )
    .execute(conn)
    .await?;
    one_row("member_guilds", &done)
}

/// What an outcome or an observation makes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation<'a> {
    /// The state it leads to.
    pub state: GuildState,
    /// Why the server does not let us.
    pub blocked_reason: Option<&'a str>,
    /// The revision that was made so.
    pub applied_revision: i64,
    /// Whether the person may still be added to the server.
    pub join_wanted: bool,
    /// Membership screening is not done yet.
    pub screening_pending: bool,
    /// When it was seen.
    pub observed_at: DateTime<Utc>,
    /// The lease holder who saw it.
    pub fence: i64,
    /// When the command is sent again, for a row that stays due.
    pub send_at: Option<DateTime<Utc>>,
}

/// Keeps what was seen. Whoever is not due any more has been removed, or is not to be.
pub async fn set_observed(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    observation: &Observation<'_>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE member_guilds
         SET state = $3, blocked_reason = $4, applied_revision = greatest(applied_revision, $5),
             join_wanted = $6, screening_pending = $7, observed_at = $8, send_at = $9, fence = greatest(fence, $10),
             kick_due_at = CASE WHEN $3 = 'due' THEN kick_due_at END
         WHERE guild_id = $1 AND user_id = $2",
        guild_id.to_sql(),
        user_id.to_sql(),
        observation.state.as_str(),
        observation.blocked_reason,
        observation.applied_revision,
        observation.join_wanted,
        observation.screening_pending,
        observation.observed_at,
        observation.send_at,
        observation.fence,
    )
    .execute(conn)
    .await?;
    one_row("member_guilds", &done)
}

/// Makes everybody in a server who is in one of these states owed a convergence: something there was
/// mended, or the bot was away and may have missed something. Returns how many people.
pub async fn set_converge_due_in_guild(
    conn: &mut Connection,
    guild_id: GuildId,
    states: &[GuildState],
    now: DateTime<Utc>,
) -> Result<u64, DbError> {
    let states: Vec<String> = states.iter().map(|state| state.as_str().to_owned()).collect();
    let done = sqlx::query!(
        "UPDATE members
         SET converge_due_at = coalesce(converge_due_at, $3), converge_trigger = 'guild_mended', converge_forced = true
         WHERE id IN (SELECT member_id FROM member_guilds WHERE guild_id = $1 AND state = ANY($2))",
        guild_id.to_sql(),
        &states,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Rows in a server by state, for the metrics and the setup report.
pub async fn count_by_state(conn: &mut Connection) -> Result<Vec<(String, i64)>, DbError> {
    let rows = sqlx::query!(r#"SELECT state, count(*) AS "count!" FROM member_guilds GROUP BY state"#)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.state, row.count)).collect())
}
