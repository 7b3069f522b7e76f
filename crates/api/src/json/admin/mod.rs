//! `/api/v1/admin/...`, for staff.

pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod why;

use actix_web::{HttpResponse, http::header};
use chrono::{DateTime, Utc};
use rolecall_db::{Connection, staff::is_staff};
use serde::Serialize;

use crate::{error::ApiError, session::SignedIn};

/// Refuses whoever is not staff, or was signed out.
async fn require_staff(
    conn: &mut Connection,
    signed_in: SignedIn,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    signed_in.require_live(conn, now).await?;
    if is_staff(conn, signed_in.member_id).await? {
        Ok(())
    } else {
        Err(ApiError::NotStaff)
    }
}

/// What no cache may keep.
fn json(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}
