//! The outermost layer: gives each request its id and trace, counts and logs it, and turns errors
//! into answers. The log holds routes and ids, never addresses, queries or bodies.

use std::time::Instant;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, StatusCode,
        header::{HeaderName, HeaderValue, SET_COOKIE},
    },
    middleware::Next,
    web,
};

use crate::{
    error::{ApiError, chain, page, problem},
    http::{
        accept::wants_page,
        context::{NewCookies, RequestId, Trace},
        extract,
    },
    session::cookies,
    site::Site,
    state::State,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const UNMATCHED: &str = "unmatched";

/// Observes a request.
pub(crate) async fn observe<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = RequestId::new(&*state.rng);
    let trace = Trace::of(request.headers(), &*state.rng);
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(trace.clone());

    // The layers within answer errors instead of returning them: an error that is returned has lost
    // its request, and keeping the request here would keep the router from writing to it.
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = rendered(response, &state, &id, &trace);
    add_headers(&mut response, &state, &id);
    account(&response, &state, &id, &trace, started);
    Ok(response)
}

/// The response with the body of its error, if it has one.
fn rendered(
    response: ServiceResponse<BoxBody>,
    state: &State,
    id: &RequestId,
    trace: &Trace,
) -> ServiceResponse<BoxBody> {
    let Some(error) = response.response().error() else {
        return response;
    };
    let mut fresh = answer(response.request(), error, &state.site, id, trace);
    for (name, value) in response.headers() {
        if !fresh.headers().contains_key(name) {
            fresh.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.into_response(fresh)
}

fn answer(request: &HttpRequest, error: &Error, site: &Site, id: &RequestId, trace: &Trace) -> HttpResponse {
    let foreign;
    let error = if let Some(error) = error.as_error::<ApiError>() {
        error
    } else {
        foreign = of_actix(error);
        &foreign
    };
    log(error, id, trace);
    if matches!(error, ApiError::SessionEnded) {
        NewCookies::add(request, cookies::cleared(site));
    }
    let page = wants_page(request)
        .then(|| page::response(request, error, id.as_str()))
        .flatten();
    page.unwrap_or_else(|| problem::response(error, id.as_str()))
}

/// An error that actix made by itself.
fn of_actix(error: &Error) -> ApiError {
    let status = error.as_response_error().status_code();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge {
            limit: extract::MOST_BYTES,
        },
        _ if status.is_client_error() => ApiError::BadRequest {
            detail: error.to_string(),
        },
        _ => ApiError::internal("handling the request", error.to_string()),
    }
}

/// One line for each fault, with its causes. What a client did wrong is its own affair.
fn log(error: &ApiError, id: &RequestId, trace: &Trace) {
    let code = error.code();
    if code.status().is_server_error() {
        let error = chain(error);
        tracing::error!(
            error,
            code = code.as_str(),
            request_id = id.as_str(),
            trace_id = trace.id(),
            "request failed"
        );
    }
}

fn add_headers(response: &mut ServiceResponse<BoxBody>, state: &State, id: &RequestId) {
    let cookies = response
        .request()
        .extensions_mut()
        .remove::<NewCookies>()
        .unwrap_or_default();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    for cookie in cookies.0 {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
    if state.draining.is_cancelled() {
        // The proxy opens its next connection elsewhere.
        response
            .response_mut()
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
}

fn account(
    response: &ServiceResponse<BoxBody>,
    state: &State,
    id: &RequestId,
    trace: &Trace,
    started: Instant,
) {
    let took = started.elapsed();
    let method = method(response.request());
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or(UNMATCHED);
    let status = response.status().as_u16();
    state.metrics.request(method, route, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        method,
        route,
        status,
        duration_ms,
        request_id = id.as_str(),
        trace_id = trace.id(),
        "request served"
    );
}

/// A closed set: anybody can make methods up.
fn method(request: &HttpRequest) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
