//! Members: read, listed, let in with a person's token, edited, kicked.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::discord::{
    error::ApiError,
    rest::body::{self, bot_actor, is_lie, pair, snowflake},
    server::caller::ByBot,
    state::{
        World,
        audit::{Act, Actor, AuditAction},
        permissions::{CREATE_INSTANT_INVITE, KICK_MEMBERS, MANAGE_NICKNAMES, MANAGE_ROLES},
        shared::Shared,
    },
};

type MemberPath = web::Path<(String, String)>;

/// One member. Needs no intent.
pub(crate) async fn get_member(
    _: ByBot,
    path: MemberPath,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, user) = pair(["guild_id", "user_id"], &path)?;
    let world = shared.world();
    let guild = world.guild_of_bot(guild)?;
    world.user(user)?;
    Ok(HttpResponse::Ok().json(world.member_json(guild.member(user)?)))
}

/// A page of members, ordered by id. Needs the `GUILD_MEMBERS` intent.
pub(crate) async fn list(
    _: ByBot,
    path: web::Path<String>,
    query: web::Query<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let guild = world.guild_of_bot(snowflake("guild_id", &path)?)?;
    if !world.privileged_intents().members {
        return Err(ApiError::missing_access());
    }
    let number = |name: &str, default| match query.get(name) {
        None => Ok(default),
        Some(text) => snowflake(name, text),
    };
    let limit = number("limit", 1)?;
    if !(1..=1_000).contains(&limit) {
        let told = "int value should be between 1 and 1000.";
        return Err(ApiError::form("limit", "NUMBER_TYPE_RANGE", told));
    }
    let after = number("after", 0)?;
    let above = guild
        .members
        .range(after.saturating_add(1)..)
        .map(|(_, member)| member);
    let page = above.take(usize::try_from(limit).unwrap_or(1_000));
    Ok(HttpResponse::Ok().json(page.map(|member| world.member_json(member)).collect::<Vec<_>>()))
}

/// Lets a person in by their own access token: 201, or 204 and no change if they are in already.
pub(crate) async fn add(
    _: ByBot,
    path: MemberPath,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, user) = pair(["guild_id", "user_id"], &path)?;
    let body = body::object(&bytes)?;
    shared.change(|world, now| {
        let roles = may_add(world, guild, user, &body, now)?;
        if !world.join(guild, user, roles, now)? {
            return Ok(HttpResponse::NoContent().finish());
        }
        if let Some(nick) = body.get("nick").and_then(Value::as_str) {
            world.guild_mut(guild)?.member_mut(user)?.nick = Some(nick.to_owned());
        }
        let member = world.guild(guild)?.member(user)?;
        Ok(HttpResponse::Created().json(world.member_json(member)))
    })
}

/// Checks everything that Discord checks before it lets a person in; answers with their first roles.
fn may_add(
    world: &World,
    guild_id: u64,
    user: u64,
    body: &Value,
    now: DateTime<Utc>,
) -> Result<BTreeSet<u64>, ApiError> {
    let guild = world.guild_of_bot(guild_id)?;
    let bot = world.bot();
    let token = body.get("access_token").and_then(Value::as_str);
    let token = token.ok_or_else(|| ApiError::required("access_token"))?;
    guild.require(bot, CREATE_INSTANT_INVITE)?;
    let token = world
        .grants
        .find_access(token, now)
        .ok_or_else(ApiError::invalid_access_token)?;
    if token.consent.user != user {
        return Err(ApiError::invalid_access_token());
    }
    if !token.consent.allows("guilds.join") {
        return Err(ApiError::missing_scope());
    }
    let roles = body::snowflakes(body, "roles")?.unwrap_or_default();
    if !roles.is_empty() {
        guild.require(bot, MANAGE_ROLES)?;
    }
    for role in &roles {
        guild.require_assignable(bot, *role)?;
    }
    if body.get("nick").is_some_and(Value::is_string) {
        guild.require(bot, MANAGE_NICKNAMES)?;
    }
    Ok(roles.into_iter().collect())
}

/// Changes nickname or roles.
pub(crate) async fn edit(
    _: ByBot,
    path: MemberPath,
    bytes: web::Bytes,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, user) = pair(["guild_id", "user_id"], &path)?;
    let body = body::object(&bytes)?;
    let roles = body::snowflakes(&body, "roles")?.map(BTreeSet::from_iter);
    shared.change(|world, now| {
        let actor = bot_actor(&request, world.bot());
        world.guild_of_bot(guild)?;
        world.require_member(guild, user)?;
        if let Some(roles) = &roles {
            may_replace_roles(world, guild, user, roles)?;
        }
        if let Some(nick) = body.get("nick") {
            rename(world, guild, user, nick, &actor, now)?;
        }
        if let Some(roles) = roles.filter(|_| !is_lie(&request)) {
            world.replace_roles(guild, user, &roles, &actor, now)?;
        }
        let member = world.guild(guild)?.member(user)?;
        Ok(HttpResponse::Ok().json(world.member_json(member)))
    })
}

/// Every role that changes must be one that the bot may give.
fn may_replace_roles(world: &World, guild: u64, user: u64, roles: &BTreeSet<u64>) -> Result<(), ApiError> {
    let guild = world.guild(guild)?;
    guild.require(world.bot(), MANAGE_ROLES)?;
    let held = &guild.member(user)?.roles;
    roles
        .symmetric_difference(held)
        .try_for_each(|role| guild.require_assignable(world.bot(), *role))
}

fn rename(
    world: &mut World,
    guild_id: u64,
    user: u64,
    nick: &Value,
    actor: &Actor,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    let bot = world.bot();
    let guild = world.guild_mut(guild_id)?;
    guild.require(bot, MANAGE_NICKNAMES)?;
    guild.require_below(bot, user)?;
    guild.member_mut(user)?.nick = nick.as_str().filter(|nick| !nick.is_empty()).map(str::to_owned);
    world.record(actor, Act::new(guild_id, AuditAction::MemberUpdate, user), now);
    world.dispatch_member_update(guild_id, user);
    Ok(())
}

/// Kicks a member.
pub(crate) async fn kick(
    _: ByBot,
    path: MemberPath,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (guild, user) = pair(["guild_id", "user_id"], &path)?;
    shared.change(|world, now| {
        let bot = world.bot();
        world.guild_of_bot(guild)?.require(bot, KICK_MEMBERS)?;
        world.require_member(guild, user)?;
        world.guild(guild)?.require_below(bot, user)?;
        let actor = bot_actor(&request, bot);
        if !is_lie(&request) {
            world.leave(guild, user, Some((&actor, AuditAction::MemberKick)), now)?;
        }
        Ok(HttpResponse::NoContent().finish())
    })
}
