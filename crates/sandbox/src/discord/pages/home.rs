//! The first page: the servers, and who exists.

use actix_web::{HttpResponse, web};
use askama::Template;

use crate::discord::{
    pages::{authorize::PersonChoice, render},
    state::shared::Shared,
};

#[derive(Template)]
#[template(path = "discord/home.html")]
struct HomePage {
    application: String,
    guilds: Vec<GuildLine>,
    people: Vec<PersonChoice>,
    connections: usize,
    requests: Vec<RequestLine>,
}

struct GuildLine {
    id: u64,
    name: String,
    members: usize,
}

struct RequestLine {
    method: String,
    path: String,
    outcome: String,
}

/// Shows it.
pub(crate) async fn show(shared: web::Data<Shared>) -> HttpResponse {
    let world = shared.world();
    let guilds = world.guilds.values().map(|guild| GuildLine {
        id: guild.id,
        name: guild.name.clone(),
        members: guild.members.len(),
    });
    let requests = world.requests.latest(20).map(|entry| RequestLine {
        method: entry.method.clone(),
        path: entry.path.clone(),
        outcome: entry
            .status
            .map_or_else(|| "cut".to_owned(), |status| status.to_string()),
    });
    render(&HomePage {
        application: world.application.name.clone(),
        guilds: guilds.collect(),
        people: world
            .users
            .values()
            .filter(|user| !user.bot)
            .map(PersonChoice::of)
            .collect(),
        connections: world.gateway.connections.len(),
        requests: requests.collect(),
    })
}
