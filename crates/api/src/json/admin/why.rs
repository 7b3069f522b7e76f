//! `GET /api/v1/admin/members/{member_id}/why`, for staff.

use actix_web::{HttpResponse, http::header, web};
use rolecall_db::{staff::is_staff, why::find_why};
use rolecall_domain::ids::MemberId;

use crate::{error::ApiError, session::SignedIn, state::State};

/// The derivation of a member's roles: what `rolecall why --json` prints.
pub(crate) async fn get_why(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    if !is_staff(&mut tx, signed_in.member_id).await? {
        return Err(ApiError::NotStaff);
    }
    let why = find_why(&mut tx, member_id.into_inner(), now)
        .await?
        .ok_or(ApiError::NotFound)?;
    tx.commit().await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(why))
}
