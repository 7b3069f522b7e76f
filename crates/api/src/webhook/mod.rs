//! `POST /webhooks/stripe`: check the signature over the raw bytes, read four fields, push, answer.
//! No database here: 200 means that Redis has the event, 503 that Stripe will send it again.

mod body;
pub(crate) mod outcome;
mod verbatim;

use std::{sync::Arc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        ConnectionType,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use chrono::{DateTime, Utc};
use rolecall_domain::{
    clock::{Clock, Rng},
    ids::uuid_v7,
};
use rolecall_queue::{Producer, Push, Pushed, jobs::StripeEvent};
use rolecall_runtime::config::StripeWebhookConfig;
use rolecall_stripe::{
    event::EventEnvelope,
    signature::{SignatureError, SignatureHeader, Signed},
};
use secrecy::SecretString;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Limits,
    error::{ApiError, chain, problem},
    http::context::{RequestId, Trace},
    metrics::Metrics,
    webhook::{outcome::Outcome, verbatim::verbatim},
};

pub(crate) use body::Room;

/// Where Stripe sends its events.
pub(crate) const ROUTE: &str = "/webhooks/stripe";

const STRIPE_SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");

/// The signing secrets of both modes.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Those of test mode first.
    all: Vec<SecretString>,
    test: usize,
    serves_live: bool,
}

impl Secrets {
    pub(crate) fn new(config: &StripeWebhookConfig) -> Self {
        let all = config
            .test_secrets
            .iter()
            .chain(&config.live_secrets)
            .cloned()
            .collect();
        Self {
            all,
            test: config.test_secrets.len(),
            serves_live: config.mode.is_live(),
        }
    }

    fn is_live(&self, position: usize) -> bool {
        position >= self.test
    }
}

/// What a worker thread needs to take webhooks in: a connection to Redis of its own, so that no
/// request waits for another thread.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) producer: Producer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) room: Room,
    pub(crate) draining: CancellationToken,
}

/// Takes a webhook in.
pub(crate) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    intake: web::Data<Intake>,
) -> HttpResponse {
    let started = Instant::now();
    let mut response = match intake.take(&request, payload).await {
        Ok(outcome) => {
            intake.metrics.webhook(outcome);
            HttpResponse::Ok().finish()
        }
        Err(error) => {
            if let ApiError::Webhook { outcome, .. } = &error {
                intake.metrics.webhook(*outcome);
            }
            let id = RequestId::new(&*intake.rng);
            // Anybody can send nonsense here, so it is no warning; the counter tells how much of it comes.
            tracing::info!(
                code = error.code().as_str(),
                error = chain(&error),
                request_id = id.as_str(),
                "a webhook was not taken"
            );
            problem::response(&error, id.as_str())
        }
    };
    intake.announce_end(&mut response);
    intake
        .metrics
        .request("POST", ROUTE, response.status().as_u16(), started.elapsed());
    response
}

/// Anything but a POST.
pub(crate) async fn refuse_method(intake: web::Data<Intake>) -> HttpResponse {
    let id = RequestId::new(&*intake.rng);
    let mut response = problem::response(&ApiError::MethodNotAllowed { allow: "POST" }, id.as_str());
    intake.announce_end(&mut response);
    response
}

impl Intake {
    /// While the process drains, whoever keeps the connection is told to make the next one elsewhere.
    fn announce_end(&self, response: &mut HttpResponse) {
        if self.draining.is_cancelled() {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
    }

    async fn take(&self, request: &HttpRequest, payload: web::Payload) -> Result<Outcome, ApiError> {
        // Without a signature no body is worth keeping: anybody can send two mebibytes, many times over.
        let header = match signature_header(request) {
            Ok(header) => header,
            Err(error) => {
                body::skip(payload, self.limits.webhook_body_timeout).await?;
                return Err(error);
            }
        };
        // What it takes of the room is given back with the answer.
        let (body, _place) = body::read(
            request.headers(),
            payload,
            self.limits.webhook_body_timeout,
            &self.room,
        )
        .await?;
        let now = self.clock.now();
        let signed = header.matching_secret(&body, &self.secrets.all, now);
        let Signed { secret, text } = signed.map_err(unsigned)?;
        let is_live = self.secrets.is_live(secret);
        let event =
            EventEnvelope::parse(text).map_err(|error| refused(Outcome::MalformedBody, chain(&error)))?;
        if event.livemode != is_live {
            return Err(refused(
                Outcome::WrongSignature,
                "the event is of another mode than its secret".to_owned(),
            ));
        }
        if is_live != self.secrets.serves_live {
            return Ok(Outcome::OtherMode);
        }
        let payload = verbatim(text).map_err(|error| refused(Outcome::MalformedBody, error.to_string()))?;
        // It lies in what the connection reads into. Kept while Redis is waited for, the next webhook would need
        // another buffer.
        drop(body);
        self.push(event, payload, request, now).await
    }

    async fn push(
        &self,
        event: EventEnvelope,
        payload: Box<RawValue>,
        request: &HttpRequest,
        now: DateTime<Utc>,
    ) -> Result<Outcome, ApiError> {
        let job = StripeEvent {
            event_id: event.id,
            event_type: event.event_type,
            created: event.created,
            livemode: event.livemode,
            payload,
        };
        let mut push = Push::new(now, uuid_v7(now, &*self.rng));
        push.traceparent = Some(Trace::given(request.headers()).child(&*self.rng));
        match self.producer.push(&job, push).await {
            Ok(Pushed::Taken) => Ok(Outcome::Accepted),
            Ok(Pushed::Duplicate) => Ok(Outcome::Duplicate),
            // Whatever the reason: the event is not in the queue, and Stripe still has it.
            Err(error) => Err(refused(Outcome::Unavailable, chain(&error))),
        }
    }
}

/// What the header says, if there is one and it is one of Stripe's.
fn signature_header(request: &HttpRequest) -> Result<SignatureHeader<'_>, ApiError> {
    let mut headers = request.headers().get_all(STRIPE_SIGNATURE);
    let header = headers.next().map(HeaderValue::as_bytes);
    if headers.next().is_some() {
        return Err(refused(
            Outcome::MalformedSignature,
            "the header is there twice".to_owned(),
        ));
    }
    SignatureHeader::read(header).map_err(unsigned)
}

fn unsigned(error: SignatureError) -> ApiError {
    refused(error.into(), error.to_string())
}

fn refused(outcome: Outcome, reason: String) -> ApiError {
    ApiError::Webhook { outcome, reason }
}
