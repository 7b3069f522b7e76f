//! A simulator with the demo's prices, a client with its key, and a receiver of webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rolecall_sandbox::clock::Clock;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::{Config, EndpointConfig, Simulator};
use rolecall_sandbox::tasks;
use rolecall_sandbox::web::{Served, serve};
use serde_json::Value;
use tokio::sync::watch;

pub(crate) const KEY: &str = "sk_test_tests000000000000";
pub(crate) const SECRET: &str = "whsec_tests";
pub(crate) const MONTHLY: &str = "price_council_monthly";
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A moment for fixed clocks.
pub(crate) fn start_of_2027() -> DateTime<Utc> {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

/// A configuration that repeats itself: fixed clock, fixed seed, quick retries, ordered deliveries.
pub(crate) fn config() -> Config {
    Config {
        clock: Clock::fixed(start_of_2027()),
        seed: Some(42),
        retry_schedule: vec![Duration::from_millis(5); 3],
        delivery_concurrency: 1,
        ..Config::new(KEY)
    }
}

pub(crate) struct Fixture {
    pub(crate) stripe: Simulator,
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    /// A simulator whose events all go to `receiver`.
    pub(crate) async fn start_for(receiver: &Receiver) -> Self {
        Self::start_with(Config {
            endpoints: vec![EndpointConfig::all(receiver.url(), SECRET)],
            ..config()
        })
        .await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let stripe = Simulator::start(config).await.unwrap();
        stripe.seed_demo();
        Self {
            stripe,
            client: tasks::http_client(LIMIT).unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stripe.origin())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(KEY)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).form(form)).await
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert_eq!(status, 200, "{body:#}");
        body
    }

    /// A checkout session for one monthly subscription.
    pub(crate) async fn checkout(&self) -> Value {
        let form = [
            ("mode", "subscription"),
            (
                "success_url",
                "http://127.0.0.1:9/done?session_id={CHECKOUT_SESSION_ID}",
            ),
            ("cancel_url", "http://127.0.0.1:9/plans"),
            ("line_items[0][price]", MONTHLY),
            ("line_items[0][quantity]", "1"),
            ("client_reference_id", "member-1"),
            ("subscription_data[metadata][member]", "1"),
        ];
        self.ok("/v1/checkout/sessions", &form).await
    }

    /// A customer with a card and a paid monthly subscription.
    pub(crate) fn subscribe(&self, card: Card) -> String {
        let seeded = self
            .stripe
            .seed_subscription("ada@example.com", card, MONTHLY, 1, Metadata::new());
        seeded.unwrap()
    }

    /// A read that must succeed.
    pub(crate) async fn show(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body:#}");
        body
    }

    /// A call that must be refused; answers the error.
    pub(crate) async fn refused(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let (status, body) = self.post(path, form).await;
        assert!(status.is_client_error(), "{status}: {body:#}");
        body["error"].clone()
    }

    /// The types of the events that `act` causes.
    pub(crate) fn caused(&self, act: impl FnOnce()) -> Vec<String> {
        let before = self.event_types().len();
        act();
        self.event_types().split_off(before)
    }

    /// The newest event of a type.
    pub(crate) fn newest(&self, kind: &str) -> Value {
        let mut events = self.stripe.events().into_iter().rev();
        events.find(|event| event["type"] == kind).unwrap()
    }

    /// The types of all events so far.
    pub(crate) fn event_types(&self) -> Vec<String> {
        self.stripe
            .events()
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A webhook as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn event_id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }
}

/// An endpoint that keeps what it gets and answers as told.
pub(crate) struct Receiver {
    server: Served,
    received: Arc<Mutex<Vec<Received>>>,
    count: watch::Sender<usize>,
    answers: Arc<Mutex<Answers>>,
}

/// First the listed statuses, one each, then always the same.
struct Answers {
    next: VecDeque<u16>,
    then: u16,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (count, answers) = (
            watch::Sender::new(0),
            Answers {
                next: VecDeque::new(),
                then: 200,
            },
        );
        let answers = Arc::new(Mutex::new(answers));
        let state = (Arc::clone(&received), count.clone(), Arc::clone(&answers));
        let server = serve("test.receiver", "127.0.0.1:0".parse().unwrap(), move |services| {
            services
                .app_data(web::Data::new(state.clone()))
                .default_service(web::to(take));
        });
        Self {
            server: server.unwrap(),
            received,
            count,
            answers,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/webhooks/stripe", self.server.origin())
    }

    pub(crate) fn answer_with(&self, status: u16) {
        self.answers.lock().unwrap().then = status;
    }

    /// Answers the next requests with these, one each.
    pub(crate) fn answer_next(&self, statuses: &[u16]) {
        self.answers.lock().unwrap().next.extend(statuses);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn types(&self) -> Vec<String> {
        self.received()
            .iter()
            .map(|hook| hook.json()["type"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut counts = self.count.subscribe();
        tokio::time::timeout(LIMIT, counts.wait_for(|now| *now >= count))
            .await
            .unwrap()
            .unwrap();
        self.received()
    }
}

type ReceiverState = (
    Arc<Mutex<Vec<Received>>>,
    watch::Sender<usize>,
    Arc<Mutex<Answers>>,
);

async fn take(state: web::Data<ReceiverState>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let (received, count, answers) = state.as_ref();
    let signature = request
        .headers()
        .get("stripe-signature")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    received.lock().unwrap().push(Received {
        signature,
        body: body.to_vec(),
    });
    let status = {
        let mut answers = answers.lock().unwrap();
        answers.next.pop_front().unwrap_or(answers.then)
    };
    count.send_modify(|count| *count += 1);
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}
