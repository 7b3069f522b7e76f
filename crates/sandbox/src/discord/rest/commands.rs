//! The application's slash commands: global, and by guild.

use actix_web::{HttpResponse, web};

use crate::discord::{
    error::ApiError,
    rest::body::{self, pair, snowflake},
    server::caller::ByBot,
    state::shared::Shared,
};

/// The global commands.
pub(crate) async fn list(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    listed(&shared, snowflake("application_id", &path)?, 0)
}

/// The commands of a guild.
pub(crate) async fn list_of_guild(
    _: ByBot,
    path: web::Path<(String, String)>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, guild) = pair(["application_id", "guild_id"], &path)?;
    shared.world().guild_of_bot(guild)?;
    listed(&shared, app, guild)
}

/// Replaces the global commands.
pub(crate) async fn overwrite(
    _: ByBot,
    path: web::Path<String>,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    overwritten(&shared, snowflake("application_id", &path)?, 0, &bytes)
}

/// Replaces the commands of a guild.
pub(crate) async fn overwrite_of_guild(
    _: ByBot,
    path: web::Path<(String, String)>,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, guild) = pair(["application_id", "guild_id"], &path)?;
    shared.world().guild_of_bot(guild)?;
    overwritten(&shared, app, guild, &bytes)
}

fn listed(shared: &Shared, app: u64, guild: u64) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    if app != world.bot() {
        return Err(ApiError::missing_access());
    }
    let commands = world.commands.registered.get(&guild).cloned().unwrap_or_default();
    Ok(HttpResponse::Ok().json(commands))
}

fn overwritten(shared: &Shared, app: u64, guild: u64, bytes: &web::Bytes) -> Result<HttpResponse, ApiError> {
    let body = body::json(bytes)?;
    let told = "Only iterables may be used in a ListType";
    let commands = body
        .as_array()
        .ok_or_else(|| ApiError::form("_", "LIST_TYPE_CONVERT", told))?;
    shared.change(|world, now| {
        if app != world.bot() {
            return Err(ApiError::missing_access());
        }
        Ok(HttpResponse::Ok().json(world.set_commands(guild, commands, now)?))
    })
}
