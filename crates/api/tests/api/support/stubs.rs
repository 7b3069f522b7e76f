//! Discord's token and user endpoints, and Stripe's two kinds of sessions, as far as the service asks.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex},
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::Server, web};
use serde_json::{Value, json};

/// How Discord answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscordMood {
    Good,
    CodeExpired,
    ClientUnknown,
    RateLimited,
    Down,
}

/// A request that reached Stripe.
#[derive(Debug, Clone)]
pub(crate) struct StripeRequest {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) form: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) mood: DiscordMood,
    pub(crate) user: Value,
    pub(crate) stripe_is_down: bool,
    pub(crate) stripe_pages: String,
    pub(crate) stripe_requests: Vec<StripeRequest>,
    pub(crate) token_requests: Vec<BTreeMap<String, String>>,
    sessions: BTreeMap<String, String>,
}

/// The tokens that Discord gives: what must never be seen anywhere.
pub(crate) const ACCESS_TOKEN: &str = "discord-access-token-b7e1";
pub(crate) const REFRESH_TOKEN: &str = "discord-refresh-token-c2f4";

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn world() -> Shared {
    Arc::new(Mutex::new(World {
        mood: DiscordMood::Good,
        user: json!({"id": "4001", "username": "ada", "global_name": "Ada Archer", "email": "Ada@Example.test", "verified": true}),
        stripe_is_down: false,
        stripe_pages: String::new(),
        stripe_requests: Vec::new(),
        token_requests: Vec::new(),
        sessions: BTreeMap::new(),
    }))
}

/// Serves both on `listener`.
pub(crate) fn serve(listener: TcpListener, world: Shared) -> Server {
    world.lock().unwrap().stripe_pages = format!("http://{}", listener.local_addr().unwrap());
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(Arc::clone(&world)))
            .route("/api/v10/oauth2/token", web::post().to(token))
            .route("/api/v10/users/@me", web::get().to(user))
            .route("/v1/checkout/sessions", web::post().to(checkout_session))
            .route("/v1/billing_portal/sessions", web::post().to(portal_session))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)
    .unwrap()
    .run()
}

async fn token(world: web::Data<Shared>, form: web::Form<BTreeMap<String, String>>) -> HttpResponse {
    let mut world = world.lock().unwrap();
    world.token_requests.push(form.into_inner());
    match world.mood {
        DiscordMood::Good => HttpResponse::Ok().json(json!({
            "token_type": "Bearer", "access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN,
            "expires_in": 604_800, "scope": "identify email guilds.join",
        })),
        DiscordMood::CodeExpired => HttpResponse::BadRequest().json(json!({"error": "invalid_grant"})),
        DiscordMood::ClientUnknown => HttpResponse::Unauthorized().json(json!({"error": "invalid_client"})),
        DiscordMood::RateLimited => HttpResponse::TooManyRequests()
            .insert_header(("retry-after", "7"))
            .json(json!({"message": "You are being rate limited.", "retry_after": 7.0, "global": false})),
        DiscordMood::Down => HttpResponse::BadGateway().body("<html>bad gateway</html>"),
    }
}

async fn user(world: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let bearer = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if bearer != Some(&format!("Bearer {ACCESS_TOKEN}")) {
        return HttpResponse::Unauthorized().json(json!({"message": "401: Unauthorized", "code": 0}));
    }
    HttpResponse::Ok().json(&world.lock().unwrap().user)
}

fn record(world: &mut World, request: &HttpRequest, form: BTreeMap<String, String>) -> String {
    let key = request
        .headers()
        .get("idempotency-key")
        .map(|key| key.to_str().unwrap().to_owned());
    let key = key.unwrap_or_default();
    world.stripe_requests.push(StripeRequest {
        path: request.path().to_owned(),
        key: key.clone(),
        form,
    });
    key
}

async fn checkout_session(
    world: web::Data<Shared>,
    request: HttpRequest,
    form: web::Form<BTreeMap<String, String>>,
) -> HttpResponse {
    let mut world = world.lock().unwrap();
    let key = record(&mut world, &request, form.into_inner());
    if world.stripe_is_down {
        return stripe_error();
    }
    let number = world.sessions.len() + 1;
    let id = world
        .sessions
        .entry(key)
        .or_insert_with(|| format!("cs_test_{number}"))
        .clone();
    let url = format!("{}/pay/{id}", world.stripe_pages);
    HttpResponse::Ok().json(json!({"id": id, "object": "checkout.session", "url": url, "status": "open"}))
}

async fn portal_session(
    world: web::Data<Shared>,
    request: HttpRequest,
    form: web::Form<BTreeMap<String, String>>,
) -> HttpResponse {
    let mut world = world.lock().unwrap();
    record(&mut world, &request, form.into_inner());
    if world.stripe_is_down {
        return stripe_error();
    }
    let url = format!("{}/portal/1", world.stripe_pages);
    HttpResponse::Ok().json(json!({"id": "bps_1", "object": "billing_portal.session", "url": url}))
}

/// A refusal that the client does not repeat.
fn stripe_error() -> HttpResponse {
    HttpResponse::BadRequest()
        .json(json!({"error": {"type": "invalid_request_error", "message": "No such price"}}))
}
