//! What a person wishes: whether messages may come to them by Discord, too.

use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    members,
    notifications::cancel_direct_messages,
};
use rolecall_domain::ids::AuditId;
use serde_json::json;

use crate::{error::ApiError, session::SignedIn, state::State};

/// Keeps the wish. Who declines is not written to by what has not left yet, either.
pub(crate) async fn set_direct_messages(
    state: &State,
    signed_in: SignedIn,
    are_welcome: bool,
) -> Result<(), ApiError> {
    let (now, member_id) = (state.now(), signed_in.member_id);
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    if members::set_direct_messages(&mut tx, member_id, are_welcome).await? {
        if !are_welcome {
            cancel_direct_messages(&mut tx, member_id).await?;
        }
        let line = AuditLine {
            id: AuditId::generate(now, &*state.rng),
            at: now,
            actor: &format!("member:{member_id}"),
            action: "member.direct_messages",
            member_id: Some(member_id),
            subject: &member_id.to_string(),
            detail: json!({ "are_welcome": are_welcome }),
        };
        insert_audit_line(&mut tx, &line).await?;
    }
    tx.commit().await?;
    Ok(())
}
