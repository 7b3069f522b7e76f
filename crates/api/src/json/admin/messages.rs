//! `GET /api/v1/admin/members/{member_id}/messages`: what a person was told, and what they are still owed.

use actix_web::{HttpResponse, web};
use rolecall_db::{members::find_member, notifications::list_notifications_of};
use rolecall_domain::ids::MemberId;

use crate::{
    error::ApiError,
    json::{
        admin::{json, require_staff},
        paging::Paging,
    },
    session::SignedIn,
    state::State,
};

/// The messages of a person, the newest first: what `rolecall messages --json` prints.
pub(crate) async fn get_messages(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    paging: web::Query<Paging>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let member = find_member(&mut tx, *member_id)
        .await?
        .ok_or(ApiError::NotFound)?;
    let rows = list_notifications_of(&mut tx, member.id, paging.after()?, paging.rows()?).await?;
    tx.commit().await?;
    Ok(json(&paging.list(rows, |message| message.id.to_string())?))
}
