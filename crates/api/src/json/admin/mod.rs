//! `/api/v1/admin/...`, for staff.

pub(crate) mod audit;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod policy;
pub(crate) mod reconcile;
pub(crate) mod timeline;
pub(crate) mod why;

use chrono::{DateTime, Utc};
use rolecall_db::{Connection, staff::is_staff};

use crate::{error::ApiError, json::uncached as json, session::SignedIn};

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

/// How the audit log names somebody of the staff.
fn actor(signed_in: SignedIn) -> String {
    format!("staff:{}", signed_in.member_id)
}
