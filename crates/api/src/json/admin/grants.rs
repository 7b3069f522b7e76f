//! `/api/v1/admin/members/{member_id}/grants`: what staff gives by hand.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use rolecall_db::{
    catalog::load_catalog,
    giving::{By, give, take_back},
    grants::{GrantSelection, find_grant_row, list_grant_rows},
    members::find_member,
};
use rolecall_domain::{
    grant,
    ids::{GrantId, MemberId},
    trigger::Trigger,
};
use serde::Deserialize;

use crate::{
    error::ApiError,
    hints,
    http::context::Trace,
    json::{
        admin::{actor, json, require_staff},
        paging::Paging,
    },
    session::SignedIn,
    state::State,
};

/// What is asked for. A misspelt end would be a grant for ever, so nothing unknown is taken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    plan: String,
    #[serde(default)]
    reason: String,
    ends_at: Option<DateTime<Utc>>,
}

/// `GET /api/v1/admin/members/{member_id}/grants?cursor=&limit=`: all of them, the newest first.
pub(crate) async fn get_grants(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    paging: web::Query<Paging>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let member = find_member(&mut tx, *member_id)
        .await?
        .ok_or(ApiError::NotFound)?;
    let theirs = GrantSelection {
        member_id: Some(member.id),
        ..GrantSelection::default()
    };
    let rows = list_grant_rows(&mut tx, theirs, paging.after()?, paging.rows()?, now).await?;
    tx.commit().await?;
    Ok(json(&paging.list(rows, |grant| grant.id.to_string())?))
}

/// `POST /api/v1/admin/members/{member_id}/grants`: 201 with the grant.
pub(crate) async fn post_grant(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    body: web::Json<GrantBody>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (now, member_id) = (state.now(), member_id.into_inner());
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    find_member(&mut tx, member_id).await?.ok_or(ApiError::NotFound)?;
    let catalog = load_catalog(&mut tx).await?;
    let gift = grant::check(&catalog, &body.plan, &body.reason, body.ends_at, now)?;
    let by = By {
        actor: &actor(signed_in),
        now,
        rng: &*state.rng,
    };
    let grant = give(&mut tx, member_id, &gift, by).await?;
    tx.commit().await?;
    hints::converge_member(&state, &trace, member_id, Trigger::Grant).await;
    Ok(HttpResponse::Created().json(grant))
}

/// `DELETE /api/v1/admin/members/{member_id}/grants/{grant_id}`: 204, also for one that was taken back before.
pub(crate) async fn delete_grant(
    signed_in: SignedIn,
    path: web::Path<(MemberId, GrantId)>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (member_id, grant_id) = path.into_inner();
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let grant = find_grant_row(&mut tx, grant_id, now).await?;
    grant
        .filter(|grant| grant.member_id == member_id)
        .ok_or(ApiError::NotFound)?;
    let by = By {
        actor: &actor(signed_in),
        now,
        rng: &*state.rng,
    };
    take_back(&mut tx, grant_id, by).await?;
    tx.commit().await?;
    hints::converge_member(&state, &trace, member_id, Trigger::Grant).await;
    Ok(HttpResponse::NoContent().finish())
}
