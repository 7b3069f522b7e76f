//! The hosted pages: checkout, portal, invoice, and a dashboard to drive the story. Forms only, no scripts.

mod checkout;
mod dashboard;
mod invoice;
mod portal;
mod view;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web;
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

/// Sets up the pages.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(dashboard::show))
        .route("/dashboard/advance", web::post().to(dashboard::advance))
        .route("/dashboard/hold", web::post().to(dashboard::hold))
        .route("/dashboard/settings", web::post().to(dashboard::account::set))
        .route(
            "/dashboard/clocks/{id}",
            web::post().to(dashboard::account::advance_clock),
        )
        .route("/dashboard/codes", web::post().to(dashboard::account::add_code))
        .route(
            "/dashboard/endpoints/{id}",
            web::post().to(dashboard::account::set_endpoint),
        )
        .route("/dashboard/subscriptions/{id}", web::post().to(dashboard::act))
        .route("/dashboard/events/{id}/resend", web::post().to(dashboard::resend))
        .route("/c/pay/{id}", web::get().to(checkout::show))
        .route("/c/pay/{id}", web::post().to(checkout::pay))
        .route("/p/session/{id}", web::get().to(portal::show))
        .route("/p/session/{id}", web::post().to(portal::act))
        .route("/i/{id}", web::get().to(invoice::show))
        .route("/i/{id}", web::post().to(invoice::pay));
}

/// A page with one thing to say.
#[derive(Template)]
#[template(path = "stripe/message.html")]
struct Message<'a> {
    heading: &'a str,
    words: &'a str,
    back: Option<String>,
}

/// A rendered page.
fn html<T: Template>(status: StatusCode, template: &T) -> HttpResponse {
    match template.render() {
        Ok(body) => HttpResponseBuilder::new(status)
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(error) => {
            tracing::error!(%error, "a page of the Stripe simulator could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// A page for what is not there.
fn gone(words: &str) -> HttpResponse {
    html(
        StatusCode::NOT_FOUND,
        &Message {
            heading: "Not found",
            words,
            back: None,
        },
    )
}

/// On to another page, by GET.
fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}
