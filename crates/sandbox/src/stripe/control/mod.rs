//! The story by HTTP, under `/_sandbox`, in JSON.

mod money;
mod oddities;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Path};
use actix_web::{HttpResponse, ResponseError};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::stripe::config::AfterRetries;
use crate::stripe::error::Refusal;
use crate::stripe::faults::{DeliveryFaults, RequestFault};
use crate::stripe::http::State;
use crate::stripe::shape;
use crate::stripe::story::Action;
use crate::stripe::story::checkout::Purchase;
use crate::stripe::world::customer::Card;
use crate::stripe::world::{Metadata, World};

/// Sets up the controls.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/_sandbox")
            .route("/state", web::get().to(state))
            .route("/requests", web::get().to(requests))
            .route("/deliveries", web::get().to(deliveries))
            .route("/deliveries/hold", web::post().to(hold))
            .route("/deliveries/release", web::post().to(release))
            .route("/subscriptions", web::post().to(seed_subscriptions))
            .route("/subscriptions/{id}", web::post().to(act))
            .route("/checkout/{id}/complete", web::post().to(complete_checkout))
            .route("/customers/{id}/card", web::post().to(set_card))
            .route("/events/{id}/resend", web::post().to(resend))
            .route("/advance", web::post().to(advance))
            .route("/settings", web::post().to(settings))
            .configure(money::configure)
            .configure(oddities::configure)
            .route("/faults/deliveries", web::post().to(set_delivery_faults))
            .route("/faults/requests", web::post().to(add_request_fault))
            .route("/faults/requests", web::delete().to(clear_request_faults))
            .default_service(web::to(unknown)),
    );
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.http_status()).unwrap_or(StatusCode::BAD_REQUEST)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(self.json("req_sandbox"))
    }
}

type Reply = Result<Json<Value>, Refusal>;

async fn unknown() -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": { "message": "There is no such control." } }))
}

async fn state(state: Data<State>) -> Json<Value> {
    Json(state.shared.read(|world| {
        let subscriptions: Vec<Value> = world
            .subscriptions
            .rows()
            .iter()
            .map(|row| shape::shown(shape::subscription(world, row)))
            .collect();
        let customers: Vec<Value> = world
            .customers
            .rows()
            .iter()
            .map(|row| shape::shown(shape::customer(world, row)))
            .collect();
        json!({
            "now": world.now(),
            "wall": world.clock.wall().timestamp(),
            "held": world.queue.is_held(),
            "waiting_deliveries": world.queue.len(),
            "customers": customers,
            "subscriptions": subscriptions,
            "events": world.events.rows().len(),
        })
    }))
}

async fn requests(state: Data<State>) -> Json<Value> {
    Json(state.shared.read(|world| json!({ "data": world.requests })))
}

async fn deliveries(state: Data<State>) -> Json<Value> {
    Json(state.shared.read(|world| json!({ "data": world.deliveries })))
}

async fn hold(state: Data<State>) -> Json<Value> {
    state.shared.with(|world| world.queue.hold(true));
    Json(json!({ "held": true }))
}

async fn release(state: Data<State>) -> Json<Value> {
    state.shared.with(|world| world.queue.hold(false));
    Json(json!({ "held": false }))
}

async fn act(state: Data<State>, id: Path<String>, action: Json<Action>) -> Reply {
    state.shared.with(|world| {
        world.act(&id, &action)?;
        world.subscription_json(&id).map(shape::shown).map(Json)
    })
}

/// Subscriptions to be made in one go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedSubscriptions {
    price: String,
    #[serde(default = "one")]
    count: u32,
    #[serde(default = "one_i64")]
    quantity: i64,
    #[serde(default = "works")]
    card: Card,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    /// Without events, as if it had been long ago.
    #[serde(default)]
    quiet: bool,
}

/// What the owner has set for the end of the retries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    after_retries: Option<AfterRetries>,
    #[serde(default)]
    retry_days: Option<Vec<u16>>,
}

async fn settings(state: Data<State>, settings: Json<Settings>) -> Json<Value> {
    let settings = settings.into_inner();
    state.shared.with(|world| {
        world.after_retries = settings.after_retries.unwrap_or(world.after_retries);
        if let Some(days) = settings.retry_days {
            world.retry_days = days;
        }
        Json(json!({ "after_retries": world.after_retries.name(), "retry_days": world.retry_days }))
    })
}

fn one() -> u32 {
    1
}

fn one_i64() -> i64 {
    1
}

fn works() -> Card {
    Card::Works
}

async fn seed_subscriptions(state: Data<State>, seeds: Json<SeedSubscriptions>) -> Reply {
    let made = state.shared.with(|world| {
        let one = |world: &mut World, number: u32| {
            let email = seeds
                .email
                .clone()
                .unwrap_or_else(|| format!("member{number}@example.com"));
            world.seed_subscription(
                &email,
                seeds.card,
                &seeds.price,
                seeds.quantity,
                seeds.metadata.clone(),
            )
        };
        let all = |world: &mut World| {
            let numbers = 1..=seeds.count;
            numbers
                .map(|number| one(world, number))
                .collect::<Result<Vec<_>, _>>()
        };
        if seeds.quiet {
            world.quietly(all)
        } else {
            all(world)
        }
    })?;
    Ok(Json(json!({ "subscriptions": made })))
}

/// What a buyer does on the hosted page. Without a card they pay with one that works; with `null` with none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompletedCheckout {
    email: String,
    #[serde(default = "some_card_that_works")]
    card: Option<Card>,
    #[serde(default)]
    last4: Option<String>,
    #[serde(default)]
    promotion_code: Option<String>,
}

#[expect(clippy::unnecessary_wraps, reason = "a default has the type of its field")]
fn some_card_that_works() -> Option<Card> {
    Some(Card::Works)
}

async fn complete_checkout(state: Data<State>, id: Path<String>, done: Json<CompletedCheckout>) -> Reply {
    let done = done.into_inner();
    let purchase = Purchase {
        email: done.email,
        card: done.card,
        last4: done.last4,
        confirmed: true,
        promotion_code: done.promotion_code,
    };
    state.shared.with(|world| {
        world.complete_purchase(&id, &purchase)?;
        world
            .checkout(&id)
            .map(|session| Json(shape::shown(shape::checkout(world, session))))
    })
}

/// A card to put on file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCard {
    card: Card,
    #[serde(default)]
    last4: Option<String>,
}

async fn set_card(state: Data<State>, id: Path<String>, card: Json<NewCard>) -> Reply {
    let attach = |world: &mut World| world.attach_own_card(&id, card.card, card.last4.as_deref());
    let method = state.shared.with(|world| world.in_time_behind(&id, attach))?;
    Ok(Json(json!({ "payment_method": method })))
}

async fn resend(state: Data<State>, id: Path<String>) -> Reply {
    state.shared.with(|world| world.resend(&id))?;
    Ok(Json(json!({ "resent": *id })))
}

/// How far time is moved.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: i64,
}

async fn advance(state: Data<State>, by: Json<Advance>) -> Reply {
    let happened = state.shared.with(|world| advance_by(world, by.seconds))?;
    Ok(Json(json!({ "happened": happened })))
}

/// Moves the account's time forward, by at most ten years.
pub(crate) fn advance_by(world: &mut World, seconds: i64) -> Result<usize, Refusal> {
    let most = 10 * 366 * 86_400;
    let by = TimeDelta::try_seconds(seconds).filter(|_| (1..=most).contains(&seconds));
    let by =
        by.ok_or_else(|| Refusal::invalid("Time moves forward, by at most ten years.").param("seconds"))?;
    world.advance_to(world.clock.now() + by)
}

/// Faults of webhooks and the seed of their chances.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDeliveryFaults {
    #[serde(default)]
    seed: Option<u64>,
    faults: DeliveryFaults,
}

async fn set_delivery_faults(state: Data<State>, new: Json<NewDeliveryFaults>) -> Json<Value> {
    let new = new.into_inner();
    state
        .shared
        .with(|world| world.set_delivery_faults(new.faults.clone(), new.seed));
    Json(json!({ "faults": new.faults }))
}

async fn add_request_fault(state: Data<State>, fault: Json<RequestFault>) -> Json<Value> {
    state
        .shared
        .with(|world| world.faults.add_request(fault.into_inner()));
    Json(json!({ "added": true }))
}

async fn clear_request_faults(state: Data<State>) -> Json<Value> {
    state.shared.with(|world| world.faults.clear_requests());
    Json(json!({ "cleared": true }))
}
