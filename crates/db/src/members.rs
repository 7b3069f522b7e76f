//! People: `members`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    ids::{DiscordUserId, MemberId},
    trigger::Trigger,
};

use crate::{
    Connection, DbError,
    convert::{Snowflake, parse, uuids},
    error::one_row,
};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Our id.
    pub id: MemberId,
    /// How they are called on pages.
    pub display_name: String,
    /// A verified address, lower-cased.
    pub email: Option<String>,
    /// When they first came.
    pub created_at: DateTime<Utc>,
}

/// Adds a person. Waits for a change of the catalog that is under way: it owes everybody a convergence.
pub async fn insert_member(conn: &mut Connection, member: &Member) -> Result<(), DbError> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtextextended('members', 0))")
        .execute(&mut *conn)
        .await?;
    let done = sqlx::query!(
        "INSERT INTO members (id, display_name, email, created_at) VALUES ($1, $2, lower($3), $4)",
        member.id.as_uuid(),
        member.display_name,
        member.email,
        member.created_at,
    )
    .execute(conn)
    .await?;
    one_row("members", &done)
}

/// The person with this id.
pub async fn find_member(conn: &mut Connection, id: MemberId) -> Result<Option<Member>, DbError> {
    let row = sqlx::query!(
        "SELECT id, display_name, email, created_at FROM members WHERE id = $1",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Member {
        id: MemberId::from_uuid(row.id),
        display_name: row.display_name,
        email: row.email,
        created_at: row.created_at,
    }))
}

/// Everybody with this verified address; several people may share one.
pub async fn list_members_with_email(conn: &mut Connection, email: &str) -> Result<Vec<MemberId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM members WHERE email = lower($1) ORDER BY created_at",
        email
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
}

/// A person as staff finds them in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMember {
    /// Who.
    pub member: Member,
    /// Their Discord account, and how it is called.
    pub discord: Option<(DiscordUserId, String)>,
}

/// Up to `limit` people older than `before`, the newest first, whom `query` may mean: a member id, a Discord
/// user id, a part of a name, or the beginning of an address. Nothing means everybody.
pub async fn search_members(
    conn: &mut Connection,
    query: &str,
    before: Option<MemberId>,
    limit: i64,
) -> Result<Vec<FoundMember>, DbError> {
    let query = query.trim();
    let id: Option<MemberId> = query.parse().ok();
    let user: Option<DiscordUserId> = query.parse().ok();
    let rows = sqlx::query!(
        r#"SELECT m.id, m.display_name, m.email, m.created_at,
                  a.user_id AS "user_id?", a.username AS "username?"
           FROM members m
           LEFT JOIN discord_accounts a ON a.member_id = m.id
           WHERE ($1 = '' OR m.id = $2 OR a.user_id = $3
               OR strpos(lower(m.display_name), lower($1)) > 0
               OR strpos(lower(a.username), lower($1)) > 0
               OR starts_with(m.email, lower($1)))
             AND ($4::uuid IS NULL OR m.id < $4)
           ORDER BY m.id DESC LIMIT $5"#,
        query,
        id.map(MemberId::as_uuid),
        user.map(Snowflake::to_sql),
        before.map(MemberId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let user_id = row
                .user_id
                .map(|user| DiscordUserId::from_sql("discord_accounts", "user_id", user))
                .transpose()?;
            Ok(FoundMember {
                member: Member {
                    id: MemberId::from_uuid(row.id),
                    display_name: row.display_name,
                    email: row.email,
                    created_at: row.created_at,
                },
                discord: user_id.zip(row.username),
            })
        })
        .collect()
}

/// Whether a person takes messages by Discord, if they have an account there; `None` for nobody.
pub async fn find_direct_messages(conn: &mut Connection, id: MemberId) -> Result<Option<bool>, DbError> {
    Ok(
        sqlx::query_scalar!("SELECT direct_messages FROM members WHERE id = $1", id.as_uuid())
            .fetch_optional(conn)
            .await?,
    )
}

/// Keeps whether a person takes messages by Discord. Says whether that is new.
pub async fn set_direct_messages(
    conn: &mut Connection,
    id: MemberId,
    are_welcome: bool,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE members SET direct_messages = $2 WHERE id = $1 AND direct_messages <> $2",
        id.as_uuid(),
        are_welcome,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes over what the sign-in provider says of a person. A missing address keeps the known one.
pub async fn set_profile(
    conn: &mut Connection,
    id: MemberId,
    display_name: &str,
    email: Option<&str>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE members SET display_name = $2, email = coalesce(lower($3), email) WHERE id = $1",
        id.as_uuid(),
        display_name,
        email,
    )
    .execute(conn)
    .await?;
    one_row("members", &done)
}

/// What is owed to a person by causes that are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// The newest cause.
    pub trigger: Option<Trigger>,
    /// They may be added to the server.
    pub join: bool,
    /// Discord is asked even if nothing seems to differ.
    pub forced: bool,
    /// A convergence is due, by now or later.
    pub is_due: bool,
    /// When time alone changes something, as the last convergence found it.
    pub next_change_at: Option<DateTime<Utc>>,
}

macro_rules! owed {
    ($row:expr) => {{
        let row = $row;
        let trigger = row
            .converge_trigger
            .map(|text| parse("members", "converge_trigger", &text))
            .transpose()?;
        Ok::<_, DbError>(Owed {
            trigger,
            join: row.converge_join,
            forced: row.converge_forced,
            is_due: row.converge_due_at.is_some(),
            next_change_at: row.next_change_at,
        })
    }};
}

/// Locks a person until the transaction ends, so that two convergences do not interleave, and says
/// what is owed to them; `None` for nobody.
pub async fn lock_member(conn: &mut Connection, id: MemberId) -> Result<Option<Owed>, DbError> {
    let row = sqlx::query!(
        "SELECT converge_trigger, converge_join, converge_forced, converge_due_at, next_change_at
         FROM members WHERE id = $1 FOR NO KEY UPDATE",
        id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| owed!(row)).transpose()
}

/// Locks those of several people whom nobody else has locked, and says what is owed to each. Nobody is waited for:
/// who waits for one person while holding another may never get through.
pub async fn lock_free_members(
    conn: &mut Connection,
    ids: &[MemberId],
) -> Result<Vec<(MemberId, Owed)>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, converge_trigger, converge_join, converge_forced, converge_due_at, next_change_at
         FROM members WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED",
        &uuids(ids)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((MemberId::from_uuid(row.id), owed!(row)?)))
        .collect()
}

/// Notes that a fact about the person changed, so that a convergence is owed even if its hint is lost.
pub async fn set_converge_due(
    conn: &mut Connection,
    id: MemberId,
    trigger: Trigger,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE members
         SET converge_due_at = coalesce(converge_due_at, $2), converge_trigger = $3,
             converge_join = converge_join OR $4, converge_forced = converge_forced OR $5
         WHERE id = $1",
        id.as_uuid(),
        now,
        trigger.as_str(),
        trigger.wants_join(),
        trigger.is_forced(),
    )
    .execute(conn)
    .await?;
    one_row("members", &done)
}

/// Notes that the person has been converged, and when time alone will change something. Where that is
/// known already nothing is written: most convergences change nothing.
pub async fn set_converged(
    conn: &mut Connection,
    id: MemberId,
    next_change_at: Option<DateTime<Utc>>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE members
         SET converge_due_at = NULL, converge_trigger = NULL, converge_join = false, converge_forced = false,
             next_change_at = $2
         WHERE id = $1 AND (converge_due_at IS NOT NULL OR next_change_at IS DISTINCT FROM $2)",
        id.as_uuid(),
        next_change_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts off what is due to a person by `now`: it failed, and others come first.
pub async fn defer_member(
    conn: &mut Connection,
    id: MemberId,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE members
         SET converge_due_at = CASE WHEN converge_due_at <= $2 THEN $3::timestamptz ELSE converge_due_at END,
             next_change_at = CASE WHEN next_change_at <= $2 THEN $3::timestamptz ELSE next_change_at END
         WHERE id = $1",
        id.as_uuid(),
        now,
        until,
    )
    .execute(conn)
    .await?;
    one_row("members", &done)
}

/// Marks everybody's convergence as owed: the catalog changed. Returns how many people have something to lose or
/// to gain by it.
///
/// Everybody is locked until the transaction ends. So whoever is being converged by the old catalog is waited for and
/// marked after that, even if it was owed to them before; and whoever is converged or added later, waits and sees
/// the new one. The caller has changed the catalog, and holds nobody and nothing of theirs yet: people come first.
pub async fn set_converge_due_for_all(conn: &mut Connection, now: DateTime<Utc>) -> Result<u64, DbError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('members', 0))")
        .execute(&mut *conn)
        .await?;
    sqlx::query!("SELECT count(*) FROM (SELECT FROM members ORDER BY id FOR NO KEY UPDATE) AS everybody")
        .fetch_one(&mut *conn)
        .await?;
    // A statement of its own, which sees what those wrote who were waited for.
    let done = sqlx::query!(
        "UPDATE members
         SET converge_due_at = coalesce(converge_due_at, $1),
             converge_trigger = coalesce(converge_trigger, 'catalog')
         WHERE EXISTS (SELECT FROM subscriptions WHERE subscriptions.member_id = members.id)
            OR EXISTS (SELECT FROM purchases WHERE purchases.member_id = members.id)
            OR EXISTS (SELECT FROM grants WHERE grants.member_id = members.id)
            OR EXISTS (SELECT FROM member_guilds WHERE member_guilds.member_id = members.id)",
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// People whose convergence has been owed since before `owed_before`, the longest owed first.
pub async fn list_converge_due(
    conn: &mut Connection,
    owed_before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<MemberId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM members WHERE converge_due_at <= $1 ORDER BY converge_due_at LIMIT $2",
        owed_before,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
}

/// People for whom time alone has changed something by `now`.
pub async fn list_next_change_due(
    conn: &mut Connection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<MemberId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT id FROM members WHERE next_change_at <= $1 ORDER BY next_change_at LIMIT $2",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(MemberId::from_uuid).collect())
}
