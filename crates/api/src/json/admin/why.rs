//! `GET /api/v1/admin/members/{member_id}/why`.

use actix_web::{HttpResponse, web};
use rolecall_db::why::find_why;
use rolecall_domain::ids::MemberId;

use crate::{
    error::ApiError,
    json::admin::{json, require_staff},
    session::SignedIn,
    state::State,
};

/// The derivation of a member's roles: what `rolecall why --json` prints.
pub(crate) async fn get_why(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let why = find_why(&mut tx, member_id.into_inner(), now)
        .await?
        .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(json(&why))
}
