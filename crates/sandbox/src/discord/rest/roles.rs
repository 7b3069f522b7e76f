//! Roles of a server, and giving them to members.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::discord::{
    error::ApiError,
    json,
    rest::body::{self, bot_actor, is_lie, pair, snowflake},
    server::caller::ByBot,
    state::{membership::RoleChange, permissions::MANAGE_ROLES, roles::NewRole, shared::Shared},
};

type MemberRolePath = web::Path<(String, String, String)>;

/// All roles.
pub(crate) async fn list(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    Ok(HttpResponse::Ok().json(json::roles(world.guild_of_bot(snowflake("guild_id", &path)?)?)))
}

/// One role.
pub(crate) async fn get_role(
    _: ByBot,
    path: web::Path<(String, String)>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, role) = pair(["guild_id", "role_id"], &path)?;
    Ok(HttpResponse::Ok().json(json::role(shared.world().guild_of_bot(guild)?.role(role)?)))
}

/// How many members have each role.
pub(crate) async fn member_counts(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let guild = world.guild_of_bot(snowflake("guild_id", &path)?)?;
    let holders = |role: u64| {
        guild
            .members
            .values()
            .filter(|member| member.roles.contains(&role))
            .count()
    };
    let roles = guild.roles.keys().filter(|role| **role != guild.id);
    let counts: BTreeMap<String, usize> = roles.map(|role| (role.to_string(), holders(*role))).collect();
    Ok(HttpResponse::Ok().json(counts))
}

/// Makes a role; the bot can give it no permission that it lacks itself.
pub(crate) async fn create(
    _: ByBot,
    path: web::Path<String>,
    bytes: web::Bytes,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let guild = snowflake("guild_id", &path)?;
    let body = body::object(&bytes)?;
    let permissions = body.get("permissions").and_then(Value::as_str);
    let new = NewRole {
        name: body
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or("new role")
            .to_owned(),
        color: body
            .get("color")
            .and_then(Value::as_u64)
            .and_then(|c| c.try_into().ok())
            .unwrap_or(0),
        permissions: permissions.map_or(Ok(0), |bits| snowflake("permissions", bits))?,
        managed: false,
    };
    shared.change(|world, now| {
        let bot = world.bot();
        world
            .guild_of_bot(guild)?
            .require(bot, MANAGE_ROLES | new.permissions)?;
        let id = world.create_role(guild, new, &bot_actor(&request, bot), now)?;
        Ok(HttpResponse::Ok().json(json::role(world.guild(guild)?.role(id)?)))
    })
}

/// Moves roles; both the role and its new place must be below the bot.
pub(crate) async fn reorder(
    _: ByBot,
    path: web::Path<String>,
    bytes: web::Bytes,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let guild_id = snowflake("guild_id", &path)?;
    let body = body::json(&bytes)?;
    let moves = body.as_array().ok_or_else(|| ApiError::required("id"))?;
    shared.change(|world, now| {
        let bot = world.bot();
        world.guild_of_bot(guild_id)?.require(bot, MANAGE_ROLES)?;
        for step in moves {
            let id = step
                .get("id")
                .and_then(Value::as_str)
                .ok_or_else(|| ApiError::required("id"))?;
            let role = snowflake("id", id)?;
            let Some(position) = step.get("position").and_then(Value::as_i64) else {
                continue;
            };
            let guild = world.guild(guild_id)?;
            let held = guild.role(role)?;
            let top = guild.top_rank(bot);
            if top.is_some_and(|top| held.rank() >= top || position >= top.0) {
                return Err(ApiError::missing_permissions());
            }
            world.move_role(guild_id, role, position, &bot_actor(&request, bot), now)?;
        }
        Ok(HttpResponse::Ok().json(json::roles(world.guild(guild_id)?)))
    })
}

/// Deletes a role.
pub(crate) async fn delete(
    _: ByBot,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, role) = pair(["guild_id", "role_id"], &path)?;
    shared.change(|world, now| {
        let bot = world.bot();
        world.guild_of_bot(guild)?.require(bot, MANAGE_ROLES)?;
        world.guild(guild)?.require_assignable(bot, role)?;
        world.delete_role(guild, role, &bot_actor(&request, bot), now)?;
        Ok(HttpResponse::NoContent().finish())
    })
}

/// Gives a role to a member.
pub(crate) async fn give(
    _: ByBot,
    path: MemberRolePath,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    change(&path, &request, &shared, true)
}

/// Takes a role from a member.
pub(crate) async fn take(
    _: ByBot,
    path: MemberRolePath,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    change(&path, &request, &shared, false)
}

fn change(
    (guild, user, role): &(String, String, String),
    request: &HttpRequest,
    shared: &Shared,
    give: bool,
) -> Result<HttpResponse, ApiError> {
    let (guild, user) = (snowflake("guild_id", guild)?, snowflake("user_id", user)?);
    let role = snowflake("role_id", role)?;
    shared.change(|world, now| {
        let bot = world.bot();
        world.guild_of_bot(guild)?.require(bot, MANAGE_ROLES)?;
        world.require_member(guild, user)?;
        world.guild(guild)?.require_assignable(bot, role)?;
        if !is_lie(request) {
            let actor = bot_actor(request, bot);
            world.change_role(
                RoleChange {
                    guild,
                    user,
                    role,
                    give,
                },
                &actor,
                now,
            )?;
        }
        Ok(HttpResponse::NoContent().finish())
    })
}
