//! The pages: rendered here, plain forms, whole without JavaScript.

pub(crate) mod change;
pub(crate) mod checkout;
pub(crate) mod claim;
pub(crate) mod dashboard;
pub(crate) mod frame;
pub(crate) mod landing;
pub(crate) mod plans;
pub(crate) mod success;
mod text;
mod tone;

use actix_web::{HttpRequest, HttpResponse, http::header};
use askama::Template;
use url::Url;

use crate::{
    error::ApiError,
    pages::frame::{Frame, Here},
    state::State,
};

/// A page that may look different for everybody, and at every look.
fn html(template: &impl Template) -> Result<HttpResponse, ApiError> {
    let body = template
        .render()
        .map_err(|error| ApiError::internal("rendering a page", error))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body))
}

/// On to another page after a form.
fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, path))
        .finish()
}

#[derive(Template)]
#[template(path = "pages/leaving.html")]
struct LeavingPage<'a> {
    frame: Frame,
    place: &'a str,
    url: &'a str,
}

/// On to a page of Stripe's after a form: by a redirect where browsers allow it, else by a page.
fn leave(state: &State, request: &HttpRequest, url: &Url, place: &str) -> Result<HttpResponse, ApiError> {
    if state.site.is_form_target(url) {
        return Ok(see_other(url.as_str()));
    }
    let frame = Frame::new(state, request, "On the way", Here::Elsewhere);
    html(&LeavingPage {
        frame,
        place,
        url: url.as_str(),
    })
}
