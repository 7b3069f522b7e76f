//! Grants by hand: `grants`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{GrantId, MemberId},
    member::Grant,
};
use serde::Serialize;

use crate::{
    Connection, DbError,
    convert::{parse, uuids},
    error::one_row,
};

/// A grant that staff makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGrant<'a> {
    /// Our id.
    pub id: GrantId,
    /// Who gets it.
    pub member_id: MemberId,
    /// What they get.
    pub plan: &'a PlanSlug,
    /// Why.
    pub reason: &'a str,
    /// Who gives it.
    pub granted_by: &'a str,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when; `None` for ever.
    pub ends_at: Option<DateTime<Utc>>,
}

/// A grant with all that is kept of it. Its JSON is a contract: `rolecall grants list --json` and the API
/// print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantRow {
    /// Our id.
    pub id: GrantId,
    /// Whose it is.
    pub member_id: MemberId,
    /// The plan given.
    pub plan: PlanSlug,
    /// Why it was given.
    pub reason: String,
    /// Who gave it: `cli`, or `staff:<member id>`.
    pub granted_by: String,
    /// When it begins.
    pub starts_at: DateTime<Utc>,
    /// When it ends; `None` for ever.
    pub ends_at: Option<DateTime<Utc>>,
    /// When it was given.
    pub created_at: DateTime<Utc>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Who took it back.
    pub revoked_by: Option<String>,
    /// What it is worth at the moment of reading: `live`, `upcoming`, `ended` or `revoked`.
    pub state: &'static str,
}

/// Which grants are meant; all of them by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrantSelection {
    /// Only this person's.
    pub member_id: Option<MemberId>,
    /// Only this one.
    pub id: Option<GrantId>,
    /// Only those that give, or will give, something.
    pub is_open: bool,
}

/// Adds a grant.
pub async fn insert_grant(
    conn: &mut Connection,
    grant: &NewGrant<'_>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO grants (id, member_id, plan_slug, reason, granted_by, starts_at, ends_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        grant.id.as_uuid(),
        grant.member_id.as_uuid(),
        grant.plan.as_str(),
        grant.reason,
        grant.granted_by,
        grant.starts_at,
        grant.ends_at,
        now,
    )
    .execute(conn)
    .await?;
    one_row("grants", &done)
}

/// Takes a grant back. Says whether it was there to be taken back.
pub async fn set_grant_revoked(
    conn: &mut Connection,
    id: GrantId,
    revoked_by: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE grants SET revoked_at = $2, revoked_by = $3 WHERE id = $1 AND revoked_at IS NULL",
        id.as_uuid(),
        now,
        revoked_by,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Up to `limit` grants older than `before`, the newest first, with what each is worth at `now`.
pub async fn list_grant_rows(
    conn: &mut Connection,
    selection: GrantSelection,
    before: Option<GrantId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<GrantRow>, DbError> {
    let rows = sqlx::query!(
        "SELECT id, member_id, plan_slug, reason, granted_by, starts_at, ends_at, created_at, revoked_at, revoked_by
         FROM grants
         WHERE ($1::uuid IS NULL OR member_id = $1)
           AND ($2::uuid IS NULL OR id = $2)
           AND (NOT $3 OR revoked_at IS NULL AND (ends_at IS NULL OR ends_at > $4))
           AND ($5::uuid IS NULL OR id < $5)
         ORDER BY id DESC LIMIT $6",
        selection.member_id.map(MemberId::as_uuid),
        selection.id.map(GrantId::as_uuid),
        selection.is_open,
        now,
        before.map(GrantId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let grant = Grant {
                id: GrantId::from_uuid(row.id),
                plan: parse("grants", "plan_slug", &row.plan_slug)?,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
            };
            Ok(GrantRow {
                state: state(&grant, row.revoked_at.is_some(), now),
                id: grant.id,
                member_id: MemberId::from_uuid(row.member_id),
                plan: grant.plan,
                reason: row.reason,
                granted_by: row.granted_by,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
                created_at: row.created_at,
                revoked_at: row.revoked_at,
                revoked_by: row.revoked_by,
            })
        })
        .collect()
}

/// One grant; `None` if there is no such grant.
pub async fn find_grant_row(
    conn: &mut Connection,
    id: GrantId,
    now: DateTime<Utc>,
) -> Result<Option<GrantRow>, DbError> {
    let only = GrantSelection {
        id: Some(id),
        ..GrantSelection::default()
    };
    Ok(list_grant_rows(conn, only, None, 1, now).await?.pop())
}

fn state(grant: &Grant, is_revoked: bool, now: DateTime<Utc>) -> &'static str {
    if is_revoked {
        "revoked"
    } else if grant.is_live(now) {
        "live"
    } else if now < grant.starts_at {
        "upcoming"
    } else {
        "ended"
    }
}

/// The grants of a person that were not taken back.
pub async fn list_grants_of(conn: &mut Connection, member_id: MemberId) -> Result<Vec<Grant>, DbError> {
    let listed = list_grants_of_many(conn, &[member_id]).await?;
    Ok(listed.into_iter().map(|(_, grant)| grant).collect())
}

/// The grants of several people that were not taken back, each with whose it is.
pub async fn list_grants_of_many(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<(MemberId, Grant)>, DbError> {
    let rows = sqlx::query!(
        "SELECT member_id, id, plan_slug, starts_at, ends_at FROM grants
         WHERE member_id = ANY($1) AND revoked_at IS NULL
         ORDER BY id",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let grant = Grant {
                id: GrantId::from_uuid(row.id),
                plan: parse("grants", "plan_slug", &row.plan_slug)?,
                starts_at: row.starts_at,
                ends_at: row.ends_at,
            };
            Ok((MemberId::from_uuid(row.member_id), grant))
        })
        .collect()
}
