//! `/api/v1/admin/reconcile`: what Stripe says beside what is kept, with the findings and a yes to them.

use actix_web::{HttpResponse, web};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    reconcile_findings::{Finding, list_findings},
    reconcile_runs::{NewRun, Run, Scope, approve_reconcile_run, find_reconcile_run, insert_reconcile_run},
};
use rolecall_domain::ids::{AuditId, uuid_v7};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::{
    error::ApiError,
    hints,
    http::context::Trace,
    json::{
        admin::{actor, require_staff},
        uncached,
    },
    session::SignedIn,
    state::State,
};

/// A page of findings unless the client says how long.
const PAGE: i64 = 500;
const LONGEST_PAGE: i64 = 1_000;

/// What is to be compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default = "stripe")]
    scope: String,
    /// Nothing is changed unless somebody says so.
    #[serde(default = "yes")]
    dry_run: bool,
}

fn stripe() -> String {
    Scope::Stripe.as_str().to_owned()
}

const fn yes() -> bool {
    true
}

/// Which page of the findings.
#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    cursor: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
struct RunWithFindings {
    #[serde(flatten)]
    run: Run,
    findings: Vec<Finding>,
    next_cursor: Option<String>,
}

/// `POST /api/v1/admin/reconcile` `{scope, dry_run}`: 202 with the run, which a worker takes up.
pub(crate) async fn post_reconcile(
    signed_in: SignedIn,
    body: web::Json<Asked>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let scope = match Scope::named(&body.scope) {
        Some(Scope::Stripe) => Scope::Stripe,
        Some(other) => {
            return Err(ApiError::ScopeNotAvailable {
                scope: other.as_str(),
            });
        }
        None => {
            return Err(ApiError::BadRequest {
                detail: "`scope` has to be one of stripe, discord and all".to_owned(),
            });
        }
    };
    let requested_by = actor(signed_in);
    let run = NewRun {
        id: uuid_v7(now, &*state.rng),
        scope,
        dry_run: body.dry_run,
        requested_by: &requested_by,
        approved: false,
    };
    insert_reconcile_run(&mut tx, &run, now).await?;
    audit(&mut tx, &state, &requested_by, "reconcile.request", run.id).await?;
    let kept = find_reconcile_run(&mut tx, run.id).await?;
    tx.commit().await?;
    hints::reconcile(&state, &trace, run.id).await;
    Ok(HttpResponse::Accepted().json(kept))
}

/// `GET /api/v1/admin/reconcile/{run_id}?cursor=&limit=`: the run with its findings, page by page.
pub(crate) async fn get_reconcile(
    signed_in: SignedIn,
    run_id: web::Path<Uuid>,
    query: web::Query<Query>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let limit = query.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(ApiError::BadRequest {
            detail: format!("`limit` has to be from 1 to {LONGEST_PAGE}"),
        });
    }
    let run = find_reconcile_run(&mut tx, *run_id)
        .await?
        .ok_or(ApiError::NotFound)?;
    let after = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    // One more tells whether there is a next page.
    let mut findings = list_findings(&mut tx, run.id, after, limit + 1).await?;
    tx.commit().await?;
    let is_last = i64::try_from(findings.len()).unwrap_or(i64::MAX) <= limit;
    findings.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = findings.last().filter(|_| !is_last);
    Ok(uncached(&RunWithFindings {
        next_cursor: last.map(|finding| finding.object_id.clone()),
        run,
        findings,
    }))
}

/// `POST /api/v1/admin/reconcile/{run_id}/apply`: yes to a run that is held, or to what a dry run found.
pub(crate) async fn post_apply(
    signed_in: SignedIn,
    run_id: web::Path<Uuid>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let approved_by = actor(signed_in);
    if find_reconcile_run(&mut tx, *run_id).await?.is_none() {
        return Err(ApiError::NotFound);
    }
    if !approve_reconcile_run(&mut tx, *run_id, &approved_by, now).await? {
        return Err(ApiError::NothingToApply);
    }
    audit(&mut tx, &state, &approved_by, "reconcile.apply", *run_id).await?;
    let run = find_reconcile_run(&mut tx, *run_id).await?;
    tx.commit().await?;
    hints::reconcile(&state, &trace, *run_id).await;
    Ok(HttpResponse::Accepted().json(run))
}

async fn audit(
    conn: &mut Connection,
    state: &State,
    actor: &str,
    action: &str,
    run_id: Uuid,
) -> Result<(), ApiError> {
    let now = state.now();
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor,
        action,
        member_id: None,
        subject: &run_id.to_string(),
        detail: json!({}),
    };
    Ok(insert_audit_line(conn, &line).await?)
}
