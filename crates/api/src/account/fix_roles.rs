//! "Fix my roles": the person asks for their roles to be compared with Discord and put right.

use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    members::set_converge_due,
};
use rolecall_domain::{ids::AuditId, trigger::Trigger};
use serde_json::json;

use crate::{error::ApiError, hints, http::context::Trace, session::SignedIn, state::State};

/// Makes a convergence owed, and hints at it.
pub(crate) async fn fix_roles(state: &State, trace: &Trace, signed_in: SignedIn) -> Result<(), ApiError> {
    let (now, member_id) = (state.now(), signed_in.member_id);
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    set_converge_due(&mut tx, member_id, Trigger::FixRoles, now).await?;
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("member:{member_id}"),
        action: "roles.fix_asked",
        member_id: Some(member_id),
        subject: &member_id.to_string(),
        detail: json!({}),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    hints::converge_member(state, trace, member_id, Trigger::FixRoles).await;
    Ok(())
}
