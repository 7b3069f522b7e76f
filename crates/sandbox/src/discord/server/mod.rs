//! The HTTP server: everything under one origin, as with Discord.

pub(crate) mod caller;
pub(crate) mod cut;
pub(crate) mod guard;
pub(crate) mod verdict;

use std::{io, net::TcpListener};

use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    middleware::from_fn,
    web,
};
use tokio::task::JoinHandle;

use crate::{
    discord::{control, gateway, oauth, pages, rest, state::shared::Shared},
    tasks,
};

/// Starts the server on a bound listener.
pub(crate) fn start(
    shared: &web::Data<Shared>,
    listener: TcpListener,
) -> io::Result<(ServerHandle, JoinHandle<()>)> {
    let server = build(shared.clone(), listener)?;
    let handle = server.handle();
    let task = tasks::spawn("discord", async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the simulated Discord ended");
        }
    });
    Ok((handle, task))
}

fn build(shared: web::Data<Shared>, listener: TcpListener) -> io::Result<Server> {
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .app_data(web::PayloadConfig::new(1 << 20))
            .service(
                web::scope("/api/v10")
                    .wrap(from_fn(guard::guard))
                    .configure(rest::routes),
            )
            .service(
                web::scope("/api")
                    .wrap(from_fn(guard::guard))
                    .configure(rest::oauth_routes),
            )
            .service(web::scope("/_sandbox").configure(control::routes))
            .service(
                web::resource("/oauth2/authorize")
                    .get(oauth::consent::ask)
                    .post(oauth::consent::decide),
            )
            .route("/gateway", web::get().to(gateway::route::open))
            .route("/gateway/", web::get().to(gateway::route::open))
            .route("/gateway/resume", web::get().to(gateway::route::open))
            .route("/gateway/resume/", web::get().to(gateway::route::open))
            .configure(pages::routes)
    };
    // Two workers: one that is busy with a long list must not hold up the gateway's connections.
    Ok(HttpServer::new(app)
        .workers(2)
        .disable_signals()
        .shutdown_timeout(1)
        .on_connect(cut::Line::keep)
        .listen(listener)?
        .run())
}
