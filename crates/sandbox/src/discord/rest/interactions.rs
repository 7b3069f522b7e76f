//! Answers to interactions. The token in the path is the authorisation; the bot's token is not needed.

use actix_web::{HttpResponse, web};

use crate::discord::{
    error::ApiError,
    rest::body::{self, snowflake},
    state::{World, channels::NewMessage, shared::Shared},
};

type TokenPath = web::Path<(String, String)>;

/// The first answer.
pub(crate) async fn callback(
    path: TokenPath,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (id, token) = path.into_inner();
    let id = snowflake("interaction_id", &id)?;
    let body = body::object(&bytes)?;
    shared.change(|world, now| world.answer_interaction(id, &token, &body, now))?;
    Ok(HttpResponse::NoContent().finish())
}

/// A further message.
pub(crate) async fn follow_up(
    path: TokenPath,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, token) = path.into_inner();
    let app = snowflake("webhook_id", &app)?;
    let new = NewMessage::parse(&body::object(&bytes)?)?;
    shared.change(|world, now| {
        let channel = world.interaction_of(app, &token)?.channel;
        let message = world.interaction_message(channel, new, now);
        world
            .interaction_of(app, &token)?
            .follow_ups
            .push(message.clone());
        Ok(HttpResponse::Ok().json(world.message_json(&message)))
    })
}

/// The answer as it stands.
pub(crate) async fn get_original(
    path: TokenPath,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, token) = path.into_inner();
    let app = snowflake("webhook_id", &app)?;
    shared.change(|world, _| answer_json(world, app, &token))
}

/// Changes the answer; after "thinking" this is what the user gets to see.
pub(crate) async fn edit_original(
    path: TokenPath,
    bytes: web::Bytes,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, token) = path.into_inner();
    let app = snowflake("webhook_id", &app)?;
    let new = NewMessage::parse(&body::object(&bytes)?)?;
    shared.change(|world, now| {
        let channel = world.interaction_of(app, &token)?.channel;
        let message = world.interaction_message(channel, new, now);
        world.interaction_of(app, &token)?.answer = Some(message);
        answer_json(world, app, &token)
    })
}

/// Takes the answer away.
pub(crate) async fn delete_original(
    path: TokenPath,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let (app, token) = path.into_inner();
    let app = snowflake("webhook_id", &app)?;
    shared.change(|world, _| {
        let answer = world.interaction_of(app, &token)?.answer.take();
        answer
            .map(|_| HttpResponse::NoContent().finish())
            .ok_or_else(ApiError::unknown_message)
    })
}

fn answer_json(world: &mut World, app: u64, token: &str) -> Result<HttpResponse, ApiError> {
    let answer = world.interaction_of(app, token)?.answer.clone();
    let message = answer.ok_or_else(ApiError::unknown_message)?;
    Ok(HttpResponse::Ok().json(world.message_json(&message)))
}
