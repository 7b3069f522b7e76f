//! How a call travels: one pooled HTTP client for all calls, paced, timed, tried again.
//!
//! async-stripe's own client opens a connection for every request and drops an answer that lacks
//! one field; so it only builds the requests, and this sends them.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use reqwest::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
    redirect,
};
use rolecall_domain::clock::Rng;
use rustls::crypto::CryptoProvider;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use stripe_client_core::StripeMethod;
use tokio::time::Instant;
use url::Url;

use crate::{
    client::{
        answer::Answer,
        call::Call,
        config::{BuildError, StripeClientConfig},
        pace::{Lane, Pacer},
        pulse::Pulse,
        retry::{Failure, RetryPolicy},
    },
    error::StripeError,
};

/// The longest answer that is read. A full page of subscriptions is about a megabyte.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// The way to Stripe, shared by all calls of a process.
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    key: SecretString,
    request_timeout: Duration,
    retry: RetryPolicy,
    pacer: Mutex<Pacer>,
    pulse: Mutex<Pulse>,
    pub(crate) rng: Arc<dyn Rng>,
}

/// Neither the key nor the headers that carry it.
impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("origin", &self.base.origin().ascii_serialization())
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(config: StripeClientConfig) -> Result<Self, BuildError> {
        let base = config.api_base;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() || !base.username().is_empty() {
            return Err(BuildError::ApiBase);
        }
        // The HTTP client would panic without one.
        if CryptoProvider::get_default().is_none() {
            return Err(BuildError::NoTlsProvider);
        }
        let http = reqwest::Client::builder()
            .default_headers(headers(&config.secret_key)?)
            .connect_timeout(config.connect_timeout)
            .timeout(config.request_timeout)
            // A redirect would carry the key to wherever it points.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(BuildError::Http)?;
        Ok(Self {
            http,
            base,
            key: config.secret_key,
            request_timeout: config.request_timeout,
            retry: config.retry,
            pacer: Mutex::new(Pacer::new(config.rate_limit, config.first_quiet)),
            pulse: Mutex::new(Pulse::new(config.refused_key)),
            rng: config.rng,
        })
    }

    /// Makes the call and reads the answer as a `T`.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, StripeError> {
        self.with_pulse(|pulse| pulse.admit(Instant::now()))?;
        let result = self.success_of(call).await.and_then(|answer| answer.read(call));
        self.with_pulse(|pulse| pulse.note(result.as_ref().err(), Instant::now()));
        result
    }

    /// What is wrong, as the last call found it.
    pub(crate) fn complaint(&self) -> Option<String> {
        self.with_pulse(|pulse| pulse.complaint(Instant::now()).map(str::to_owned))
    }

    /// The first success.
    async fn success_of(&self, call: &Call) -> Result<Answer, StripeError> {
        let begin = Instant::now();
        let mut attempt = 1;
        loop {
            self.wait_for_turn(call).await?;
            let (error, failure) = match self.attempt(call).await {
                Ok(answer) if answer.status.is_success() => {
                    self.with_pacer(Pacer::note_success);
                    return Ok(answer);
                }
                Ok(answer) => {
                    let quiet = self.slow_down_after(&answer);
                    let failure = answer.failure().not_before(quiet);
                    (answer.into_error(call, |text| self.redact(text)), failure)
                }
                Err(error) => {
                    let passes = error.is_transient();
                    (
                        error,
                        Failure {
                            passes,
                            ..Failure::NO_ANSWER
                        },
                    )
                }
            };
            let wait = self.retry.wait(attempt, begin.elapsed(), failure, &*self.rng);
            let Some(wait) = wait.filter(|_| self.with_pulse(|pulse| pulse.may_repeat())) else {
                return Err(error);
            };
            tracing::debug!(
                stripe.endpoint = call.endpoint,
                stripe.attempt = attempt,
                wait_ms = wait.as_millis(),
                %error,
                "a call to Stripe failed and is tried again"
            );
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// Waits until the account's limit has room, or gives up at once when that is too long.
    async fn wait_for_turn(&self, call: &Call) -> Result<(), StripeError> {
        for lane in [Lane::Endpoint(call.endpoint), Lane::Account] {
            let now = Instant::now();
            let turn = self.with_pacer(|pacer| {
                let turn = pacer.turn(lane, now);
                turn.map_err(|wait| Some(wait).filter(|_| !pacer.guesses(now)))
            });
            let at = turn.map_err(|retry_after| StripeError::RateLimited { retry_after })?;
            if at > now {
                tokio::time::sleep_until(at).await;
            }
        }
        Ok(())
    }

    /// Keeps all calls quiet if there are too many. Returns for how long, from now. Stripe seldom names a time.
    fn slow_down_after(&self, answer: &Answer) -> Option<Duration> {
        if !answer.is_too_many_requests() {
            return None;
        }
        let now = Instant::now();
        let wait = if let Some(wait) = answer.retry_after() {
            let until = now.checked_add(wait)?;
            self.with_pacer(|pacer| pacer.keep_quiet(until));
            wait
        } else {
            self.with_pacer(|pacer| pacer.back_off(now, &*self.rng))
        };
        tracing::warn!(
            wait_ms = wait.as_millis(),
            "Stripe's rate limit is reached: all calls wait"
        );
        Some(wait)
    }

    fn with_pacer<R>(&self, act: impl FnOnce(&mut Pacer) -> R) -> R {
        act(&mut self.pacer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn with_pulse<R>(&self, act: impl FnOnce(&mut Pulse) -> R) -> R {
        act(&mut self.pulse.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, StripeError> {
        let begin = Instant::now();
        let result = self.exchange(call).await;
        let answer = result.as_ref().ok();
        tracing::debug!(
            stripe.endpoint = call.endpoint,
            stripe.request_id = answer.and_then(Answer::request_id),
            http.status = answer.map(|answer| answer.status.as_u16()),
            duration_ms = begin.elapsed().as_millis(),
            "called Stripe"
        );
        result
    }

    /// One request and its whole answer: a body left unread would cost the connection.
    async fn exchange(&self, call: &Call) -> Result<Answer, StripeError> {
        let broken = |error| self.connection_error(call, error);
        let mut response = self.http.execute(self.request(call)).await.map_err(broken)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(StripeError::TooLarge {
                    subject: call.subject.clone(),
                    limit: MAX_BODY_BYTES,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer {
            status: response.status(),
            headers,
            body: body.freeze(),
        })
    }

    fn request(&self, call: &Call) -> Request {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/v1{}",
            self.base.path().trim_end_matches('/'),
            call.request.path
        ));
        url.set_query(call.request.query.as_deref());
        let method = match call.request.method {
            StripeMethod::Get => Method::GET,
            StripeMethod::Post => Method::POST,
            StripeMethod::Delete => Method::DELETE,
        };
        let mut request = Request::new(method, url);
        if let Some(form) = &call.request.body {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form_type);
            *request.body_mut() = Some(form.clone().into());
        }
        // Checked where the call is made: nothing that a header cannot carry comes here.
        if let Some(key) = call
            .idempotency_key
            .as_deref()
            .and_then(|key| HeaderValue::from_str(key).ok())
        {
            request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        }
        request
    }

    fn connection_error(&self, call: &Call, error: reqwest::Error) -> StripeError {
        let endpoint = call.endpoint;
        if error.is_timeout() {
            return StripeError::Timeout {
                endpoint,
                after: self.request_timeout,
            };
        }
        StripeError::Unreachable {
            endpoint,
            source: error.without_url(),
        }
    }

    /// Stripe shows the end of a wrong key in its messages, and a proxy may show all of it.
    fn redact(&self, text: &str) -> String {
        text.replace(self.key.expose_secret(), "[key]")
    }
}

fn headers(key: &SecretString) -> Result<HeaderMap, BuildError> {
    let bearer = format!("Bearer {}", key.expose_secret());
    if key.expose_secret().is_empty() || !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BuildError::SecretKey);
    }
    let mut bearer = HeaderValue::from_str(&bearer).map_err(|_| BuildError::SecretKey)?;
    bearer.set_sensitive(true);
    let version = stripe_client_core::VERSION;
    let version = HeaderValue::from_str(version.as_str()).map_err(|_| BuildError::SecretKey)?;
    let agent = HeaderValue::from_static(concat!("rolecall/", env!("CARGO_PKG_VERSION")));
    Ok([
        (AUTHORIZATION, bearer),
        (STRIPE_VERSION, version),
        (USER_AGENT, agent),
    ]
    .into_iter()
    .collect())
}
