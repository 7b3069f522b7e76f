//! HTTP in: the API behind its faults, with every request logged.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::stripe::api::gate::Credentials;
use crate::stripe::api::params::Params;
use crate::stripe::api::{self, Answer, Call};
use crate::stripe::config::API_VERSION;
use crate::stripe::error::Refusal;
use crate::stripe::faults::{FaultKind, Snapshot};
use crate::stripe::log::LoggedRequest;
use crate::stripe::shared::Shared;
use crate::stripe::world::World;
use crate::stripe::{control, json, pages};

/// The largest body that is read.
const BODY_LIMIT: usize = 1024 * 1024;

/// What the handlers need.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The account.
    pub shared: Arc<Shared>,
    /// Ends answers that hang.
    pub stop: CancellationToken,
}

/// Sets up the API, the pages and the controls.
pub(crate) fn configure(state: &State, config: &mut web::ServiceConfig) {
    config
        .app_data(Data::new(state.clone()))
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .configure(pages::configure)
        .configure(control::configure)
        .route("/v1/{call:.*}", web::to(api));
}

async fn api(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let call = read_call(&state.shared, &request, &body);
    let taken = |world: &mut World| world.faults.take_request(&call.method, &call.path);
    let fault = state.shared.with(taken);
    let place = log(&state.shared, &call);
    let reply = reply(&state, &call, fault).await;
    let status = reply.as_ref().map(|reply| reply.status);
    state.shared.with(|world| {
        if let Some(row) = world.requests.get_mut(place) {
            row.status = status;
        }
    });
    // Where there is no reply the simulator is shutting down, after a hang.
    reply.map_or_else(
        || HttpResponse::ServiceUnavailable().finish(),
        |reply| reply.into_response(&call),
    )
}

fn read_call(shared: &Shared, request: &HttpRequest, body: &Bytes) -> Call {
    let headers = request.headers();
    let from_query = request.method() == "GET" || (request.method() == "DELETE" && body.is_empty());
    let encoded = if from_query {
        request.query_string().as_bytes().to_vec()
    } else {
        body.to_vec()
    };
    Call {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        encoded,
        credentials: Credentials {
            authorization: header(headers, "authorization"),
            version: header(headers, "stripe-version"),
            idempotency_key: header(headers, "idempotency-key"),
        },
        request_id: shared.with_queue(|world| world.ids.request()),
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

fn log(shared: &Shared, call: &Call) -> usize {
    let params = Params::parse(&call.encoded)
        .map(|params| params.flat())
        .unwrap_or_default();
    shared.with(|world| {
        let at = world.clock.wall().timestamp();
        world.requests.push(LoggedRequest {
            id: call.request_id.clone(),
            at,
            method: call.method.clone(),
            path: call.path.clone(),
            params,
            idempotency_key: call.credentials.idempotency_key.clone(),
            version: call.credentials.version.clone(),
            status: None,
        });
        world.requests.len() - 1
    })
}

/// What goes out: an answer of the API, or what a fault makes of it.
struct Reply {
    status: u16,
    body: Vec<u8>,
    content_type: &'static str,
    retry_after: Option<u64>,
    replayed: Option<String>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self {
            status: answer.status,
            body: answer.body,
            content_type: "application/json",
            retry_after: None,
            replayed: answer.replayed,
        }
    }
}

async fn reply(state: &State, call: &Call, fault: Option<FaultKind>) -> Option<Reply> {
    let serve = || {
        state
            .shared
            .with(|world| api::answer(world, call, &state.shared.secret_keys))
    };
    match fault {
        // Of a fault that waits for its turn, only the inner one is ever taken.
        None | Some(FaultKind::After { .. }) => Some(serve().into()),
        Some(FaultKind::Status {
            status,
            retry_after,
            applied,
        }) => {
            let keys = &state.shared.secret_keys;
            let answer = if fails_within(status, applied) {
                state
                    .shared
                    .with(|world| api::fail(world, call, keys, status, applied))
            } else {
                Answer::refusal(&Refusal::fault(status), &call.request_id)
            };
            Some(Reply {
                retry_after,
                ..answer.into()
            })
        }
        Some(FaultKind::Hang { applied }) => {
            if applied {
                serve();
            }
            state.stop.cancelled().await;
            None
        }
        Some(FaultKind::Garbage) => {
            let body = b"<html><body>upstream connect error</body></html>".to_vec();
            let answer = Answer {
                status: 200,
                body,
                replayed: None,
            };
            Some(Reply {
                content_type: "text/html",
                ..answer.into()
            })
        }
        Some(FaultKind::NewStatus) => Some(with_a_new_status(serve()).into()),
        Some(FaultKind::EmptyList) => Some(changed_list(serve(), Vec::clear).into()),
        Some(FaultKind::HalfList) => {
            let half = |rows: &mut Vec<Value>| rows.truncate(rows.len() / 2);
            Some(changed_list(serve(), half).into())
        }
        Some(FaultKind::EndlessList) => Some(endless(state, call).into()),
        Some(FaultKind::Slow { delay_ms, snapshot }) => {
            let early = (snapshot == Snapshot::Before).then(serve);
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            Some(early.unwrap_or_else(serve).into())
        }
        Some(FaultKind::Held { snapshot }) => {
            let early = (snapshot == Snapshot::Before).then(serve);
            let mut changes = state.shared.changes();
            let place = state.shared.with(|world| world.faults.hold());
            let is_let_go = |_: &u64| state.shared.read(|world| world.faults.is_let_go(place));
            tokio::select! {
                gone = changes.wait_for(is_let_go) => gone.ok().map(drop)?,
                () = state.stop.cancelled() => return None,
            }
            Some(early.unwrap_or_else(serve).into())
        }
    }
}

/// Whether the endpoint fails that was called, and not what stands before it: the limits, the keys, a gateway.
/// What has taken effect has reached its endpoint.
fn fails_within(status: u16, applied: bool) -> bool {
    applied || !matches!(status, 401 | 403 | 409 | 429 | 502..)
}

/// An object with another status; anything else is left as it is.
fn with_a_new_status(answer: Answer) -> Answer {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let Some(status) = value.get_mut("status") else {
        return answer;
    };
    *status = Value::String("hibernating".to_owned());
    let body = json::pretty(&value);
    Answer { body, ..answer }
}

/// A list with other rows that says there is no more; anything else is left as it is.
fn changed_list(answer: Answer, change: impl FnOnce(&mut Vec<Value>)) -> Answer {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let Some(map) = value.as_object_mut().filter(|map| map.contains_key("has_more")) else {
        return answer;
    };
    if let Some(rows) = map.get_mut("data").and_then(Value::as_array_mut) {
        change(rows);
    }
    map.insert("has_more".to_owned(), Value::Bool(false));
    let body = json::pretty(&value);
    Answer { body, ..answer }
}

/// The first page once more, whatever the cursor, and always more to come.
fn endless(state: &State, call: &Call) -> Answer {
    let pairs = url::form_urlencoded::parse(&call.encoded);
    let kept = pairs.filter(|(name, _)| name != "starting_after" && name != "ending_before");
    let encoded = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish();
    let first = Call {
        encoded: encoded.into_bytes(),
        ..call.clone()
    };
    let answer = state
        .shared
        .with(|world| api::answer(world, &first, &state.shared.secret_keys));
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(more) = value.get_mut("has_more") {
        *more = Value::Bool(true);
    }
    let body = json::pretty(&value);
    Answer { body, ..answer }
}

impl Reply {
    fn into_response(self, call: &Call) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let version = call
            .credentials
            .version
            .clone()
            .unwrap_or_else(|| API_VERSION.to_owned());
        let mut response = HttpResponseBuilder::new(status);
        response
            .content_type(self.content_type)
            .insert_header(("request-id", call.request_id.clone()))
            .insert_header(("stripe-version", version))
            .insert_header(("cache-control", "no-cache, no-store"));
        if let Some(key) = &call.credentials.idempotency_key {
            response.insert_header(("idempotency-key", key.clone()));
        }
        if let Some(original) = self.replayed {
            response.insert_header(("idempotent-replayed", "true"));
            response.insert_header(("original-request", original));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header(("retry-after", seconds.to_string()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header(("www-authenticate", "Basic realm=\"Stripe\""));
        }
        response.body(self.body)
    }
}
