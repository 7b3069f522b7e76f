//! What is decided about a request before its handler runs: faults, bans, caller, limits.

use std::time::{Duration, Instant};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
};
use chrono::{DateTime, Utc};

use crate::discord::{
    error::ApiError,
    faults::{FaultKind, Met},
    limits::{
        Counted,
        answer::{self, BucketState, Scope, TooMany},
    },
    server::caller::Caller,
    state::World,
};

/// How long Cloudflare keeps out who sent too many invalid requests.
const BAN: Duration = Duration::from_hours(1);

/// A request before its handler.
pub(crate) struct Incoming<'a> {
    pub(crate) method: &'a str,
    /// The path under `/api/v10`.
    pub(crate) path: &'a str,
    /// The route's pattern under `/api/v10`; `None` for a path that no route has.
    pub(crate) pattern: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// What becomes of a request.
pub(crate) enum Verdict {
    /// It is answered with this at once.
    Answer { response: HttpResponse, invalid: bool },
    /// Its handler runs.
    Handle {
        caller: Caller,
        bucket: Option<BucketState>,
    },
}

impl World {
    /// The fault that meets a request, if it answers instead of the handler.
    pub(crate) fn faulty_answer(
        &mut self,
        met: &Met,
        incoming: &Incoming<'_>,
        now: DateTime<Utc>,
    ) -> Option<Verdict> {
        let response = match &met.kind {
            FaultKind::Status { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                HttpResponse::build(status)
                    .content_type("text/plain")
                    .body("upstream connect error")
            }
            FaultKind::Refuse { status, code } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN);
                return Some(refuse(&ApiError::new(status, *code, "Refused by the simulator")));
            }
            FaultKind::Garbage => HttpResponse::Ok()
                .content_type("application/json")
                .body("{\"id\": \"12"),
            FaultKind::Cloudflare { retry_after_s } => {
                answer::cloudflare(Duration::from_secs(*retry_after_s))
            }
            FaultKind::TooMany {
                retry_after_ms,
                scope,
            } => {
                let bucket = self.bucket_of(incoming, now).filter(|_| *scope != Scope::Global);
                let retry_after = Duration::from_millis(*retry_after_ms);
                let too_many = TooMany {
                    retry_after,
                    scope: *scope,
                    bucket,
                };
                return Some(Verdict::Answer {
                    response: too_many.answer(now),
                    invalid: *scope != Scope::Shared,
                });
            }
            FaultKind::Delay { .. }
            | FaultKind::Hang
            | FaultKind::Drop
            | FaultKind::LoseAnswer
            | FaultKind::Lie => return None,
        };
        let invalid = response.status() == StatusCode::TOO_MANY_REQUESTS;
        Some(Verdict::Answer { response, invalid })
    }

    /// Judges a request that no fault answers.
    pub(crate) fn judge(&mut self, incoming: &Incoming<'_>, now: DateTime<Utc>) -> Verdict {
        if self.limiter.banned(Instant::now()) {
            return Verdict::Answer {
                response: answer::cloudflare(BAN),
                invalid: false,
            };
        }
        if !names_itself(incoming.headers) {
            let told = "A User-Agent header of the form DiscordBot (url, version) is required.";
            return refuse(&ApiError::new(StatusCode::BAD_REQUEST, 0, told));
        }
        let Some(pattern) = incoming.pattern else {
            return refuse(&ApiError::not_found());
        };
        let caller = match Caller::identify(incoming.headers, self, now) {
            Ok(caller) => caller,
            Err(error) => return refuse(&error),
        };
        let key = caller.limit_key();
        let counted = Counted {
            method: incoming.method,
            pattern,
            path: incoming.path,
            caller: &key,
        };
        match self.limiter.take(&counted, Instant::now()) {
            Ok(bucket) => Verdict::Handle {
                caller,
                bucket: Some(bucket),
            },
            Err(too_many) => Verdict::Answer {
                response: too_many.answer(now),
                invalid: true,
            },
        }
    }

    /// The bucket that a request of the caller falls into, for a 429 that is made up.
    fn bucket_of(&mut self, incoming: &Incoming<'_>, now: DateTime<Utc>) -> Option<BucketState> {
        let key = Caller::identify(incoming.headers, self, now).ok()?.limit_key();
        let (method, pattern) = (incoming.method, incoming.pattern?);
        let counted = Counted {
            method,
            pattern,
            path: incoming.path,
            caller: &key,
        };
        match self.limiter.take(&counted, Instant::now()) {
            Ok(bucket) => Some(bucket),
            Err(too_many) => too_many.bucket,
        }
    }
}

/// Whether a client names itself as Discord's reference asks: `DiscordBot (url, version)`, and more if it likes.
fn names_itself(headers: &HeaderMap) -> bool {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let named = agent
        .and_then(|agent| agent.strip_prefix("DiscordBot ("))
        .and_then(|rest| rest.split_once(')'))
        .and_then(|(named, _)| named.split_once(", "));
    named.is_some_and(|(url, version)| url.starts_with("http") && !version.is_empty())
}

fn refuse(error: &ApiError) -> Verdict {
    let invalid = matches!(error.status.as_u16(), 401 | 403);
    Verdict::Answer {
        response: error.error_response(),
        invalid,
    }
}
