//! `/health`, `/ready` and `/metrics` over HTTP.
//!
//! An actix `HttpServer` under a plain tokio runtime: `run()` gives a `Send` future that can be
//! spawned there as it is; its workers bring threads and runtimes of their own, and it needs no
//! `actix_web::rt::System`. Signals stay ours (`disable_signals`).

use std::{io, net::TcpListener, pin::pin, time::Duration};

use actix_web::{
    App, HttpResponse, HttpResponseBuilder, HttpServer,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, ContentType},
    web::{self, ServiceConfig},
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    health::{Health, Status},
    metrics::{self, Exporter},
};

/// Answers in flight are few and small here.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Adds `/health` and `/ready` to an application.
pub fn configure(health: Health) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        let alive = {
            let health = health.clone();
            move || {
                let health = health.clone();
                async move { answer(&health, HttpResponse::Ok()).json(health.alive()) }
            }
        };
        let ready = move || {
            let health = health.clone();
            async move { ready_response(&health).await }
        };
        config
            .service(
                web::resource("/health")
                    .get(alive.clone())
                    .route(web::head().to(alive)),
            )
            .service(
                web::resource("/ready")
                    .get(ready.clone())
                    .route(web::head().to(ready)),
            );
    }
}

/// Serves `/health`, `/ready` and `/metrics` on `listener` until `finished` is set.
///
/// Run it by [`Tasks::spawn_support`](crate::shutdown::Tasks::spawn_support) with
/// [`Shutdown::finished`](crate::shutdown::Shutdown::finished), so that a draining process still
/// tells that it drains.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    exporter: Exporter,
    finished: CancellationToken,
) -> io::Result<()> {
    let app = move || {
        let exporter = exporter.clone();
        let metrics = move || {
            let exporter = exporter.clone();
            async move { metrics_response(&exporter).await }
        };
        App::new()
            .configure(configure(health.clone()))
            .route("/metrics", web::get().to(metrics))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .shutdown_timeout(LAST_ANSWERS.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let mut server = pin!(server);
    tokio::select! {
        result = &mut server => return result,
        () = finished.cancelled() => {}
    }
    // The server only works on its stop while it is polled.
    let ((), result) = tokio::join!(handle.stop(true), server);
    result
}

async fn ready_response(health: &Health) -> HttpResponse {
    let report = health.report().await;
    let response = match report.status() {
        Status::Ready | Status::Degraded => HttpResponse::Ok(),
        Status::Unready => HttpResponse::ServiceUnavailable(),
    };
    answer(health, response).json(report)
}

/// While the process drains, whoever keeps the connection is told to make the next one elsewhere: a request on a
/// connection that is being closed is lost.
fn answer(health: &Health, mut response: HttpResponseBuilder) -> HttpResponseBuilder {
    response.insert_header((CACHE_CONTROL, "no-store"));
    if health.is_draining() {
        response.force_close();
    }
    response
}

async fn metrics_response(exporter: &Exporter) -> HttpResponse {
    match exporter.text().await {
        Ok(text) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
            .body(text),
        Err(error) => {
            error!(%error, "metrics cannot be written");
            HttpResponse::InternalServerError()
                .insert_header(ContentType::plaintext())
                .body("metrics are broken\n")
        }
    }
}
