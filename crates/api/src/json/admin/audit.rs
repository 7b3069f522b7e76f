//! `GET /api/v1/admin/audit`: what was done, by whom.

use actix_web::{HttpResponse, web};
use rolecall_db::audit::{AuditSelection, list_audit_rows};
use rolecall_domain::ids::MemberId;
use serde::Deserialize;

use crate::{
    error::ApiError,
    json::{
        admin::{json, require_staff},
        paging::Paging,
    },
    session::SignedIn,
    state::State,
};

/// What of the log is wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Search {
    actor: Option<String>,
    action: Option<String>,
    member_id: Option<MemberId>,
    cursor: Option<String>,
    limit: Option<i64>,
}

/// `GET /api/v1/admin/audit?actor=&action=&member_id=&cursor=&limit=`: the newest first. An action that ends with a
/// dot, such as `grant.`, means all that begin so.
pub(crate) async fn get_audit(
    signed_in: SignedIn,
    search: web::Query<Search>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let search = search.into_inner();
    let paging = Paging::new(search.cursor, search.limit);
    // An empty value, as a form sends it, is none.
    let given = |value: Option<String>| value.filter(|value| !value.is_empty());
    let (actor, action) = (given(search.actor), given(search.action));
    let selection = AuditSelection {
        actor: actor.as_deref(),
        action: action.as_deref(),
        member_id: search.member_id,
    };
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let rows = list_audit_rows(&mut tx, selection, paging.after()?, paging.rows()?).await?;
    tx.commit().await?;
    Ok(json(&paging.list(rows, |row| row.id.to_string())?))
}
