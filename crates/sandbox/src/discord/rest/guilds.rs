//! A server as a whole.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::discord::{
    error::ApiError,
    json::{self, with},
    rest::body::snowflake,
    server::caller::ByBot,
    state::shared::Shared,
};

/// The guild with its roles, and with counts if asked.
pub(crate) async fn get_guild(
    _: ByBot,
    path: web::Path<String>,
    query: web::Query<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let world = shared.world();
    let guild = world.guild_of_bot(snowflake("guild_id", &path)?)?;
    let mut body = json::guild(guild);
    if query.get("with_counts").is_some_and(|wanted| wanted == "true") {
        let count = guild.members.len();
        body = with(
            body,
            json!({"approximate_member_count": count, "approximate_presence_count": count}),
        );
    }
    Ok(HttpResponse::Ok().json(body))
}
