//! What pages of other origins may do: nothing, unless their origin is listed. This is also the
//! protection of forms, together with `SameSite` cookies.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web,
};

use crate::{error::ApiError, http::accept::is_api, site::Site, state::State};

const PREFLIGHT_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const PREFLIGHT_HEADERS: &str = "authorization, content-type, idempotency-key, traceparent";
const EXPOSED_HEADERS: &str = "retry-after, x-request-id";

/// Answers preflights, refuses writes from strangers, and names the origin that may read.
pub(crate) async fn guard<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_api = is_api(request.request());
    let origin = text(request.headers(), &header::ORIGIN).map(str::to_owned);
    if is_api && is_preflight(&request) {
        let mut response = HttpResponse::NoContent();
        match origin
            .as_deref()
            .filter(|origin| state.site.is_cors_allowed(origin))
        {
            None => return Ok(request.error_response(ApiError::ForeignOrigin)),
            Some(origin) => response
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, PREFLIGHT_METHODS))
                .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, PREFLIGHT_HEADERS))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
                .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.to_owned()))
                .insert_header((header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"))
                .insert_header((header::VARY, "Origin")),
        };
        return Ok(request.into_response(response.finish()));
    }
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_write && !may_write(&state.site, request.headers()) {
        return Ok(request.error_response(ApiError::ForeignOrigin));
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    if is_api && let Some(origin) = origin.filter(|origin| state.site.is_cors_allowed(origin)) {
        let headers = response.headers_mut();
        if let Ok(origin) = HeaderValue::from_str(&origin) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED_HEADERS),
        );
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    Ok(response)
}

fn is_preflight(request: &ServiceRequest) -> bool {
    *request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Browsers name the origin of every write. A program that names none has no cookies to abuse.
fn may_write(site: &Site, headers: &HeaderMap) -> bool {
    if let Some(origin) = headers.get(header::ORIGIN) {
        return origin.to_str().is_ok_and(|origin| site.may_write(origin));
    }
    match headers.get("sec-fetch-site").map(|value| value.to_str()) {
        None | Some(Ok("same-origin" | "none")) => true,
        Some(_) => false,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
