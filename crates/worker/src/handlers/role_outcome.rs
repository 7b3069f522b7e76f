//! `role_outcome`: what the bot found and did becomes what is known of a person in a server.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    member_guilds::lock_member_guild,
};
use rolecall_domain::ids::AuditId;
use rolecall_queue::{
    Attempt, JobError,
    jobs::{RoleOutcome, RoleResult},
};
use serde_json::json;

use crate::{ctx::Ctx, error::WorkError, handlers::SharedCtx, observe};

/// Keeps the outcome.
pub async fn run(ctx: SharedCtx, args: RoleOutcome, _: Attempt) -> Result<(), JobError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    if args.result == (RoleResult::NotInGuild { kicked: true }) {
        audit_kick(&mut tx, &ctx, &args, now).await?;
    }
    let member_id = observe::outcome(&mut tx, &args, now).await?;
    tx.commit().await?;
    if let Some(member_id) = member_id {
        ctx.member_changed(member_id).await;
    }
    Ok(())
}

/// Notes that somebody was removed from a server; once, though an outcome may come twice.
async fn audit_kick(
    conn: &mut Connection,
    ctx: &Ctx,
    outcome: &RoleOutcome,
    now: DateTime<Utc>,
) -> Result<(), WorkError> {
    let row = lock_member_guild(conn, outcome.guild_id, outcome.user_id).await?;
    let is_news = |observed_at: DateTime<Utc>| observed_at < outcome.at;
    let Some(row) = row.filter(|row| row.observed_at.is_none_or(is_news)) else {
        return Ok(());
    };
    let line = AuditLine {
        id: AuditId::generate(now, &*ctx.rng),
        at: outcome.at,
        actor: "system",
        action: "member.kick",
        member_id: Some(row.member_id),
        subject: &format!("guild {}", row.guild_id),
        detail: json!({ "revision": outcome.revision, "ended_by": row.kick_due_at }),
    };
    Ok(insert_audit_line(conn, &line).await?)
}
