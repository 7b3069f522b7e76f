//! `GET /gateway`: the upgrade to a WebSocket.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::mpsc;

use crate::discord::{
    gateway::{
        Outgoing,
        close::CloseCode,
        connection::{Connection, SendWindow},
        handshake::Peer,
        log::GatewayStep,
    },
    server::cut::Line,
    state::shared::Shared,
};

/// Takes a connection. A wrong version is refused after the upgrade, as Discord does.
pub(crate) async fn open(
    request: HttpRequest,
    body: web::Payload,
    query: web::Query<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> actix_web::Result<HttpResponse> {
    if shared.world().gateway.switches.refuse_connections {
        return Ok(HttpResponse::ServiceUnavailable().body("The gateway takes no connections."));
    }
    let (response, socket, stream) = actix_ws::handle(&request, body)?;
    let (sender, outgoing) = mpsc::unbounded_channel();
    let json = query.get("encoding").is_none_or(|encoding| encoding == "json");
    let current = query.get("v").is_some_and(|version| version == "10") && json;
    let connection = shared.change(|world, now| {
        let config = &world.gateway.config;
        let heartbeat_timeout = config.heartbeat_interval.saturating_mul(2);
        let sends = SendWindow::new(config.sends_per_minute);
        let id = world.gateway.open(sender);
        if !current {
            world
                .gateway
                .deliver(id, Outgoing::Close(CloseCode::InvalidVersion));
        }
        let peer = Peer {
            connection: id,
            session: None,
        };
        let path = request.path().trim_end_matches('/').to_owned();
        world.note(&peer, GatewayStep::Connected { path }, now);
        let line = request.conn_data::<Line>().cloned();
        Connection {
            shared: shared.clone(),
            peer,
            line,
            heartbeat_timeout,
            sends,
        }
    });
    actix_web::rt::spawn(connection.run(socket, stream, outgoing));
    Ok(response)
}
