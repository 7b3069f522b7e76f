//! The pages: the simulated servers to look at and click in. No JavaScript.

pub(crate) mod authorize;
pub(crate) mod guild;
pub(crate) mod home;

use actix_web::{HttpResponse, http::StatusCode, web};
use askama::Template;

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(home::show))
        .route("/guilds/{guild}", web::get().to(guild::show))
        .route("/guilds/{guild}/act", web::post().to(guild::act));
}

/// A page that says why something cannot be done.
#[derive(Template)]
#[template(path = "discord/refused.html")]
struct RefusedPage<'a> {
    fault: &'a str,
}

/// Renders a page.
pub(crate) fn render(page: &impl Template) -> HttpResponse {
    render_with(StatusCode::OK, page)
}

/// Says why something cannot be done.
pub(crate) fn refused(fault: &str) -> HttpResponse {
    render_with(StatusCode::BAD_REQUEST, &RefusedPage { fault })
}

fn render_with(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => {
            tracing::error!(%error, "a page was not rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}
