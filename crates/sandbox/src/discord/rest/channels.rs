//! Channels and messages: direct ones above all.

use actix_web::{HttpResponse, web};
use serde_json::Value;

use crate::discord::{
    error::ApiError,
    rest::body::{self, snowflake},
    server::caller::ByBot,
    state::{
        World,
        channels::{Channel, NewMessage, Place},
        permissions::{SEND_MESSAGES, VIEW_CHANNEL},
        shared::Shared,
    },
};

/// Opens the direct channel with a user. Whether they can be written to shows only afterwards.
pub(crate) async fn create_direct(
    _: ByBot,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let body = body::object(&bytes)?;
    let recipient = match body.get("recipient_id") {
        Some(Value::String(id)) => snowflake("recipient_id", id)?,
        Some(id @ Value::Number(_)) => snowflake("recipient_id", &id.to_string())?,
        _ => return Err(ApiError::required("recipient_id")),
    };
    shared.change(|world, now| {
        let id = world.direct_channel(recipient, now)?;
        Ok(HttpResponse::Ok().json(world.channel_json(channel(world, id)?)))
    })
}

/// One channel.
pub(crate) async fn get_channel(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let channel = channel(&world, snowflake("channel_id", &path)?)?;
    Ok(HttpResponse::Ok().json(world.channel_json(channel)))
}

/// The channels of a guild.
pub(crate) async fn list_of_guild(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let guild = world.guild_of_bot(snowflake("guild_id", &path)?)?;
    let channels = guild.channels.iter().filter_map(|id| world.channels.get(id));
    Ok(HttpResponse::Ok().json(
        channels
            .map(|channel| world.channel_json(channel))
            .collect::<Vec<_>>(),
    ))
}

/// The messages of a channel, the newest first.
pub(crate) async fn list_messages(
    _: ByBot,
    path: web::Path<String>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let id = snowflake("channel_id", &path)?;
    channel(&world, id)?;
    let newest = world
        .messages
        .iter()
        .rev()
        .filter(|message| message.channel.0 == id)
        .take(100);
    Ok(HttpResponse::Ok().json(
        newest
            .map(|message| world.message_json(message))
            .collect::<Vec<_>>(),
    ))
}

/// Writes as the bot.
pub(crate) async fn post_message(
    _: ByBot,
    path: web::Path<String>,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let id = snowflake("channel_id", &path)?;
    let new = NewMessage::parse(&body::object(&bytes)?)?;
    shared.change(|world, now| {
        let bot = world.bot();
        match &channel(world, id)?.place {
            Place::Direct { user } => world.require_reachable(*user)?,
            Place::Guild { guild, .. } => {
                world
                    .guild_of_bot(*guild)?
                    .require(bot, VIEW_CHANNEL | SEND_MESSAGES)?;
            }
        }
        let message = world.post_message(id, bot, new, now)?;
        Ok(HttpResponse::Ok().json(world.message_json(&message)))
    })
}

fn channel(world: &World, id: u64) -> Result<&Channel, ApiError> {
    world.channels.get(&id).ok_or_else(ApiError::unknown_channel)
}
