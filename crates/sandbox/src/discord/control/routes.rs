//! The controls over HTTP: `POST /_sandbox/act`, and what there is to look at.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::discord::{
    control::{Action, ActionError},
    state::shared::Shared,
};

/// The longest wait for a change.
const MAX_WAIT: Duration = Duration::from_mins(1);

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/act", web::post().to(act))
        .route("/state", web::get().to(state))
        .route("/requests", web::get().to(requests))
        .route("/audit", web::get().to(audit))
        .route("/gateway", web::get().to(gateway))
        .route("/messages", web::get().to(messages))
        .route("/interactions", web::get().to(interactions))
        .route("/wait", web::get().to(wait));
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
}

#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    version: u64,
    timeout_ms: Option<u64>,
}

async fn act(body: web::Json<Value>, shared: web::Data<Shared>) -> HttpResponse {
    let action = match Action::parse(&body) {
        Ok(action) => action,
        Err(error) => return HttpResponse::BadRequest().json(json!({"error": error.to_string()})),
    };
    match shared.change(|world, now| world.act(action, now)) {
        Ok(made) => HttpResponse::Ok().json(made),
        Err(ActionError::Refused(error)) => {
            HttpResponse::build(error.status).json(json!({"error": error.message, "code": error.code}))
        }
        Err(ActionError::Invalid(told)) => HttpResponse::UnprocessableEntity().json(json!({"error": told})),
    }
}

async fn state(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.world().state_view())
}

async fn requests(query: web::Query<After>, shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.world().requests.after(query.after))
}

async fn audit(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(&shared.world().audit)
}

async fn gateway(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.world().gateway_view())
}

async fn messages(shared: web::Data<Shared>) -> HttpResponse {
    let world = shared.world();
    let list: Vec<Value> = world
        .messages
        .iter()
        .map(|message| world.message_with_recipient(message))
        .collect();
    HttpResponse::Ok().json(list)
}

async fn interactions(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(shared.world().commands.interactions.values().collect::<Vec<_>>())
}

/// Waits until something has changed since `version`; answers with the version that is now.
async fn wait(query: web::Query<Wait>, shared: web::Data<Shared>) -> HttpResponse {
    let mut changes = shared.changes();
    let limit = query
        .timeout_ms
        .map_or(MAX_WAIT, Duration::from_millis)
        .min(MAX_WAIT);
    let changed = changes.wait_for(|version| *version > query.version);
    // After the timeout the answer is the old version: nothing has changed.
    drop(tokio::time::timeout(limit, changed).await);
    let version = *changes.borrow();
    HttpResponse::Ok().json(json!({"version": version}))
}
