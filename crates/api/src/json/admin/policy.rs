//! `/api/v1/admin/policy`: what each standing means, with what a change would do before it is made.

use actix_web::{HttpResponse, web};
use rolecall_db::{
    giving::By,
    impact::Terms,
    policies::{current_policy, list_policies},
    policy_change::{PolicyChange, Weighed, save_policy, weigh_policy},
};
use rolecall_domain::{grant::check_reason, impact::Impact, policy::Policy};
use serde::{Deserialize, Serialize};

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

/// A policy that somebody wants in force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    policy: Policy,
    #[serde(default)]
    reason: String,
    /// The version that the change was made from.
    if_version: Option<i64>,
    #[serde(default)]
    dry_run: bool,
}

/// What `rolecall policy set --json` prints.
#[derive(Serialize)]
struct Outcome {
    /// The version in force after it.
    version: i64,
    saved: bool,
    summary: String,
    impact: Impact,
    warnings: Vec<String>,
}

/// `GET /api/v1/admin/policy`: the policy in force.
pub(crate) async fn get_policy(
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let current = current_policy(&mut tx).await?;
    tx.commit().await?;
    Ok(json(&current))
}

/// `GET /api/v1/admin/policy/history?cursor=&limit=`: every version, the newest first.
pub(crate) async fn get_history(
    signed_in: SignedIn,
    paging: web::Query<Paging>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let rows = list_policies(&mut tx, paging.after()?, paging.rows()?).await?;
    tx.commit().await?;
    Ok(json(&paging.list(rows, |saved| saved.version.to_string())?))
}

/// `PUT /api/v1/admin/policy`: what it does to people is counted first; with `dry_run` that is all.
pub(crate) async fn put_policy(
    signed_in: SignedIn,
    body: web::Json<PolicyBody>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let change = PolicyChange {
        policy: &body.policy,
        if_version: body.if_version,
    };
    let terms = Terms {
        default_grace: state.default_grace,
        now,
    };
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    if body.dry_run {
        let weighed = weigh_policy(&mut tx, change, terms).await?;
        tx.commit().await?;
        return Ok(json(&outcome(weighed, false)));
    }
    let reason = check_reason(&body.reason)?;
    let by = By {
        actor: &actor(signed_in),
        now,
        rng: &*state.rng,
    };
    let weighed = save_policy(&mut tx, change, &reason, terms, by).await?;
    tx.commit().await?;
    let saved = !weighed.is_same;
    if saved {
        hints::sync_plans(&state, &trace).await;
    }
    Ok(json(&outcome(weighed, saved)))
}

fn outcome(weighed: Weighed, saved: bool) -> Outcome {
    Outcome {
        version: weighed.version,
        saved,
        summary: weighed.summary,
        impact: weighed.impact,
        warnings: weighed.warnings,
    }
}
