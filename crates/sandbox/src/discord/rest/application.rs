//! The application itself, what a token stands for, and where the gateway is.

use std::time::Instant;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::discord::{
    error::ApiError,
    json::{self, with},
    server::caller::{ByBot, Caller},
    state::{World, shared::Shared},
};

/// The application of the bot.
pub(crate) async fn current(_: ByBot, shared: web::Data<Shared>) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let flags = world.application_flags();
    let more = json!({
        "flags": flags,
        "flags_new": flags.to_string(),
        "bot": json::user(world.user(world.bot())?),
        "bot_public": false,
        "bot_require_code_grant": false,
        "redirect_uris": world.application.redirect_uris,
        "interactions_endpoint_url": null,
        "role_connections_verification_url": null,
        "owner": world.user_json(world.guilds.values().next().map_or(0, |guild| guild.owner)),
        "team": null,
        "approximate_guild_count": world.guilds.len(),
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "eligible_oauth2_scopes": [],
    });
    Ok(HttpResponse::Ok().json(with(summary(&world), more)))
}

/// What an access token stands for.
pub(crate) async fn authorization(
    caller: Caller,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let Caller::Bearer(token) = caller else {
        return Err(ApiError::unauthorized());
    };
    let world = shared.world();
    let mut body = json!({
        "application": summary(&world),
        "scopes": token.consent.scopes,
        "expires": json::timestamp(token.expires_at),
    });
    if token.consent.allows("identify") {
        body = with(body, json!({"user": world.user_json(token.consent.user)}));
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Where the gateway is; anybody may know.
pub(crate) async fn gateway(shared: web::Data<Shared>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"url": shared.gateway_url()}))
}

/// Where the gateway is, and how many IDENTIFYs are left.
pub(crate) async fn gateway_bot(_: ByBot, shared: web::Data<Shared>) -> HttpResponse {
    let limit = shared.world().gateway.budget.json(Instant::now());
    HttpResponse::Ok().json(json!({"url": shared.gateway_url(), "shards": 1, "session_start_limit": limit}))
}

fn summary(world: &World) -> Value {
    json!({
        "id": world.bot().to_string(),
        "name": world.application.name,
        "icon": null,
        "description": "",
        "type": null,
        "verify_key": "00".repeat(32),
        "flags": world.application_flags(),
    })
}
