//! Manual grants: `grants`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{GrantId, MemberId},
    member::Grant,
};

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
