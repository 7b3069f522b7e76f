//! Wraps every API request: faults, limits, headers, and the log.

use std::time::{Duration, Instant};

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::ErrorInternalServerError,
    http::header::{HOST, HeaderMap},
    middleware::Next,
    web,
};

use crate::discord::{
    faults::{FaultKind, Met},
    limits::answer::BucketState,
    request_log::RequestEntry,
    server::{
        cut::Line,
        verdict::{Incoming, Verdict},
    },
    state::shared::Shared,
};

/// Set on requests whose change of roles is a lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lie;

/// `X-Audit-Log-Reason`, decoded.
#[derive(Debug, Clone)]
pub(crate) struct Reason(pub(crate) String);

/// How a request ended.
struct Ended {
    request: HttpRequest,
    /// `None` to cut the connection.
    response: Option<HttpResponse>,
    bucket: Option<BucketState>,
    invalid: bool,
}

/// The middleware.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(shared) = request.app_data::<web::Data<Shared>>().cloned() else {
        return Err(ErrorInternalServerError("no shared state"));
    };
    let reason = decode_reason(request.headers());
    if let Some(reason) = &reason {
        request.extensions_mut().insert(Reason(reason.clone()));
    }
    let mut entry = entry_of(&request, reason);
    let met = shared
        .world()
        .faults
        .meet(request.method().as_str(), api_path(request.path()));
    if let Some(met) = &met {
        entry.fault = Some(met.kind.name().to_owned());
        shared.ring();
    }
    let Ended {
        request,
        mut response,
        bucket,
        invalid,
    } = run(&shared, request, next, met).await?;
    shared.change(|world, now| {
        if invalid {
            world.limiter.count_invalid(Instant::now());
        }
        if let (Some(bucket), Some(response)) = (&bucket, &mut response) {
            bucket.write(response.headers_mut(), now);
        }
        entry.at = now;
        entry.elapsed_ms = u64::try_from(shared.uptime().as_millis()).unwrap_or(u64::MAX);
        entry.status = response.as_ref().map(|response| response.status().as_u16());
        entry.bucket = bucket.map(|bucket| bucket.id);
        world.requests.push(entry);
    });
    let response = response.unwrap_or_else(|| {
        if let Some(line) = request.conn_data::<Line>() {
            line.cut();
        }
        HttpResponse::BadGateway().finish()
    });
    Ok(ServiceResponse::new(request, response))
}

/// Lets the request meet its fault, its judgement and its handler.
async fn run(
    shared: &web::Data<Shared>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    met: Option<Met>,
) -> Result<Ended, Error> {
    if !survives(shared, &request, met.as_ref()).await {
        return Ok(answered(request, None, false));
    }
    let (caller, bucket) = match judge(shared, &request, met.as_ref()) {
        Verdict::Answer { response, invalid } => return Ok(answered(request, Some(response), invalid)),
        Verdict::Handle { caller, bucket } => (caller, bucket),
    };
    request.extensions_mut().insert(caller);
    let (request, response) = next.call(request).await?.map_into_boxed_body().into_parts();
    let invalid = matches!(response.status().as_u16(), 401 | 403);
    let lost = met.is_some_and(|met| met.kind == FaultKind::LoseAnswer);
    Ok(Ended {
        request,
        response: Some(response).filter(|_| !lost),
        bucket,
        invalid,
    })
}

fn answered(request: ServiceRequest, response: Option<HttpResponse>, invalid: bool) -> Ended {
    Ended {
        request: request.into_parts().0,
        response,
        bucket: None,
        invalid,
    }
}

/// Waits, hangs or cuts as the fault wants; `false` if the request goes no further.
async fn survives(shared: &web::Data<Shared>, request: &ServiceRequest, met: Option<&Met>) -> bool {
    match met.map(|met| (&met.kind, &met.cleared)) {
        Some((FaultKind::Drop, _)) => false,
        Some((FaultKind::Hang, cleared)) => {
            tokio::select! {
                () = cleared.cancelled() => {}
                () = shared.stopped().cancelled() => {}
            }
            false
        }
        Some((FaultKind::Delay { millis }, _)) => {
            tokio::time::sleep(Duration::from_millis(*millis)).await;
            true
        }
        Some((FaultKind::Lie, _)) => {
            request.extensions_mut().insert(Lie);
            true
        }
        _ => true,
    }
}

fn judge(shared: &web::Data<Shared>, request: &ServiceRequest, met: Option<&Met>) -> Verdict {
    let pattern = request.match_pattern();
    let incoming = Incoming {
        method: request.method().as_str(),
        path: api_path(request.path()),
        pattern: pattern.as_deref().map(api_path),
        headers: request.headers(),
    };
    let now = shared.now();
    let mut world = shared.world();
    let faulty = met.and_then(|met| world.faulty_answer(met, &incoming, now));
    faulty.unwrap_or_else(|| world.judge(&incoming, now))
}

/// The path without `/api` and the version.
fn api_path(path: &str) -> &str {
    path.strip_prefix("/api/v10")
        .or_else(|| path.strip_prefix("/api"))
        .unwrap_or(path)
}

fn entry_of(request: &ServiceRequest, reason: Option<String>) -> RequestEntry {
    RequestEntry {
        number: 0,
        at: chrono::DateTime::UNIX_EPOCH,
        elapsed_ms: 0,
        host: host_of(request.headers()),
        method: request.method().as_str().to_owned(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        status: None,
        bucket: None,
        reason,
        fault: None,
    }
}

fn host_of(headers: &HeaderMap) -> Option<String> {
    headers.get(HOST)?.to_str().ok().map(str::to_owned)
}

/// The reason travels percent-encoded, because headers are ASCII.
fn decode_reason(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-audit-log-reason")?.to_str().ok()?;
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match (
            part.get(..2).and_then(|digits| hex::decode(digits).ok()),
            part.get(2..),
        ) {
            (Some(byte), Some(rest)) => bytes.extend(byte.iter().chain(rest.as_bytes())),
            _ => bytes.extend(b"%".iter().chain(part.as_bytes())),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_reason_is_decoded_from_its_percent_encoding() {
        let check = |sent: &'static str, expected: &str| {
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_static("x-audit-log-reason");
            headers.insert(name, HeaderValue::from_static(sent));
            assert_eq!(decode_reason(&headers).as_deref(), Some(expected));
        };
        check("payment%20failed", "payment failed");
        check("Caf%C3%A9+100%", "Caf\u{e9}+100%");
        check("%zz", "%zz");
        assert_eq!(decode_reason(&HeaderMap::new()), None);
    }
}
