//! Runs an actix-web server beside the caller: one worker, no signal handlers, stopped through its handle.

use std::io;
use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use tokio::task::JoinHandle;

use crate::tasks;

/// A running server.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<()>,
}

/// Binds `listen` (port 0 picks a free one) and serves what `configure` sets up.
pub fn serve<F>(name: &'static str, listen: SocketAddr, configure: F) -> io::Result<Served>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    serve_on(name, TcpListener::bind(listen)?, configure)
}

/// Serves on a listener that is bound already.
pub fn serve_on<F>(name: &'static str, listener: TcpListener, configure: F) -> io::Result<Served>
where
    F: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || App::new().configure(configure.clone()))
        .workers(1)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    let handle = server.handle();
    let task = tasks::spawn(name, async move {
        if let Err(error) = server.await {
            tracing::error!(%error, server = name, "a simulator's server ended");
        }
    });
    Ok(Served {
        address,
        handle,
        task,
    })
}

impl Served {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops at once, without waiting for answers that hang, and waits until the server is gone.
    pub async fn stop(self) {
        self.handle.stop(false).await;
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a simulator's server task failed");
        }
    }
}
