//! `/users`: the caller, and others by id.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::discord::{
    error::ApiError,
    json,
    oauth::grants::Consent,
    rest::body::snowflake,
    server::caller::{ByBot, Caller},
    state::shared::Shared,
};

/// The account behind the token; the address only for who was allowed to see it.
pub(crate) async fn current_user(
    caller: Caller,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let body = match caller {
        Caller::Anonymous => return Err(ApiError::unauthorized()),
        Caller::Bot => json::current_user(world.user(world.bot())?, true),
        Caller::Bearer(token) => {
            require_scope(&token.consent, "identify")?;
            json::current_user(world.user(token.consent.user)?, token.consent.allows("email"))
        }
    };
    Ok(HttpResponse::Ok().json(body))
}

/// The guilds that the caller is in.
pub(crate) async fn current_guilds(
    caller: Caller,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let user = match caller {
        Caller::Anonymous => return Err(ApiError::unauthorized()),
        Caller::Bot => world.bot(),
        Caller::Bearer(token) => {
            require_scope(&token.consent, "guilds")?;
            token.consent.user
        }
    };
    let theirs = world
        .guilds
        .values()
        .filter(|guild| guild.members.contains_key(&user));
    let list: Vec<Value> = theirs
        .map(|guild| {
            json!({
                "id": guild.id.to_string(),
                "name": guild.name,
                "icon": null,
                "banner": null,
                "owner": guild.owner == user,
                "permissions": guild.permissions(user).to_string(),
                "features": [],
            })
        })
        .collect();
    Ok(HttpResponse::Ok().json(list))
}

/// The caller as a member of a guild.
pub(crate) async fn current_member(
    caller: Caller,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let Caller::Bearer(token) = caller else {
        return Err(ApiError::bots_cannot());
    };
    require_scope(&token.consent, "guilds.members.read")?;
    let world = shared.world();
    let member = world
        .guild(snowflake("guild_id", &path)?)?
        .member(token.consent.user);
    // Who is not in the guild cannot know that it exists.
    let member = member.map_err(|_| ApiError::unknown_guild())?;
    Ok(HttpResponse::Ok().json(world.member_json(member)))
}

/// Any account.
pub(crate) async fn get_user(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let user = snowflake("user_id", &path)?;
    Ok(HttpResponse::Ok().json(json::user(shared.world().user(user)?)))
}

fn require_scope(consent: &Consent, scope: &str) -> Result<(), ApiError> {
    if consent.allows(scope) {
        Ok(())
    } else {
        Err(ApiError::missing_scope())
    }
}
