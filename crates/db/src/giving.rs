//! A grant is given or taken back: the row, the line in the audit log, and the convergence that is owed for
//! it, whoever asked for it and by which way.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    clock::Rng,
    grant::Gift,
    ids::{AuditId, GrantId, MemberId},
    trigger::Trigger,
};
use serde_json::json;

use crate::{
    Connection, DbError,
    audit::{AuditLine, insert_audit_line},
    grants::{GrantRow, NewGrant, find_grant_row, insert_grant, set_grant_revoked},
    members::set_converge_due,
};

/// Who does it, and when.
#[derive(Debug, Clone, Copy)]
pub struct By<'a> {
    /// `cli`, or `staff:<member id>`.
    pub actor: &'a str,
    /// The time now.
    pub now: DateTime<Utc>,
    /// Chance, for ids.
    pub rng: &'a dyn Rng,
}

/// Gives a person, who has to exist, a grant from now on. After the commit the worker is told.
pub async fn give(
    conn: &mut Connection,
    member_id: MemberId,
    gift: &Gift,
    by: By<'_>,
) -> Result<GrantRow, DbError> {
    let grant = NewGrant {
        id: GrantId::generate(by.now, by.rng),
        member_id,
        plan: &gift.plan,
        reason: &gift.reason,
        granted_by: by.actor,
        starts_at: by.now,
        ends_at: gift.ends_at,
    };
    insert_grant(conn, &grant, by.now).await?;
    follow(conn, member_id, grant.id, "grant.give", gift.plan.as_str(), by).await?;
    Ok(GrantRow {
        id: grant.id,
        member_id,
        plan: gift.plan.clone(),
        reason: gift.reason.clone(),
        granted_by: by.actor.to_owned(),
        starts_at: by.now,
        ends_at: gift.ends_at,
        created_at: by.now,
        revoked_at: None,
        revoked_by: None,
        state: "live",
    })
}

/// Takes a grant back and returns it; one that was taken back before stays as it is. `None` if there is no
/// such grant. After the commit the worker is told.
pub async fn take_back(conn: &mut Connection, id: GrantId, by: By<'_>) -> Result<Option<GrantRow>, DbError> {
    let is_new = set_grant_revoked(conn, id, by.actor, by.now).await?;
    let Some(grant) = find_grant_row(conn, id, by.now).await? else {
        return Ok(None);
    };
    if is_new {
        follow(conn, grant.member_id, id, "grant.revoke", grant.plan.as_str(), by).await?;
    }
    Ok(Some(grant))
}

async fn follow(
    conn: &mut Connection,
    member_id: MemberId,
    id: GrantId,
    action: &str,
    plan: &str,
    by: By<'_>,
) -> Result<(), DbError> {
    let line = AuditLine {
        id: AuditId::generate(by.now, by.rng),
        at: by.now,
        actor: by.actor,
        action,
        member_id: Some(member_id),
        subject: &id.to_string(),
        detail: json!({ "plan": plan }),
    };
    insert_audit_line(conn, &line).await?;
    set_converge_due(conn, member_id, Trigger::Grant, by.now).await
}
