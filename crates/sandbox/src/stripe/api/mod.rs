//! The HTTP API under `/v1`: a call is parsed, let in, routed, expanded, and shown in its version.

mod account;
mod buying;
mod catalog;
mod clocks;
mod customers;
mod discounts;
mod disputes;
mod endpoints;
mod events;
pub mod expand;
pub mod gate;
mod invoices;
mod items;
pub mod list;
mod listing;
mod money;
pub mod params;
mod payments;
mod portal;
mod refunds;
mod session_params;
mod subscriptions;

use serde_json::Value;

use crate::stripe::config::API_VERSION;
use crate::stripe::error::Refusal;
use crate::stripe::json;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::event::Cause;
use gate::{Credentials, SavedAnswer};
use params::Params;

/// A call to the API.
#[derive(Clone, Debug)]
pub struct Call {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// The path with `/v1`.
    pub path: String,
    /// The parameters as they came, from the query or the body.
    pub encoded: Vec<u8>,
    /// Key, version and idempotency key.
    pub credentials: Credentials,
    /// `req_...`
    pub request_id: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The first request's id, where this answer is a repetition.
    pub replayed: Option<String>,
}

impl Answer {
    fn of(value: &Value) -> Self {
        Self {
            status: 200,
            body: json::pretty(value),
            replayed: None,
        }
    }

    /// A refusal as an answer.
    pub fn refusal(refusal: &Refusal, request_id: &str) -> Self {
        let body = json::pretty(&refusal.json(request_id));
        Self {
            status: refusal.http_status(),
            body,
            replayed: None,
        }
    }
}

/// Serves a call.
pub fn answer(world: &mut World, call: &Call, keys: &[String]) -> Answer {
    serve(world, call, keys, perform).unwrap_or_else(|refusal| Answer::refusal(&refusal, &call.request_id))
}

/// Serves a call whose endpoint begins and then fails with `status`, with or without an effect.
pub fn fail(world: &mut World, call: &Call, keys: &[String], status: u16, applied: bool) -> Answer {
    let endpoint = |world: &mut World, call: &Call, params: &Params, version: &str| {
        if applied {
            perform(world, call, params, version)?;
        }
        Err(Refusal::fault(status))
    };
    serve(world, call, keys, endpoint).unwrap_or_else(|refusal| Answer::refusal(&refusal, &call.request_id))
}

fn serve(
    world: &mut World,
    call: &Call,
    keys: &[String],
    endpoint: impl FnOnce(&mut World, &Call, &Params, &str) -> Result<Value, Refusal>,
) -> Result<Answer, Refusal> {
    gate::authorize(&call.credentials, keys)?;
    let version = call.credentials.version.as_deref().unwrap_or(API_VERSION);
    gate::check_version(version)?;
    let params = Params::parse(&call.encoded)?;
    let key = call
        .credentials
        .idempotency_key
        .as_deref()
        .filter(|_| call.method == "POST");
    let Some(key) = key else {
        return endpoint(world, call, &params, version).map(|value| Answer::of(&value));
    };
    if key.is_empty() || key.chars().count() > 255 {
        let message = "Idempotency keys must be between 1 and 255 characters long.";
        return Err(Refusal::idempotency(message));
    }
    let question = format!("{} {} {:?}", call.method, call.path, params.flat());
    let now = world.clock.wall().timestamp();
    world
        .answers
        .retain(|_, saved| saved.at > now - gate::KEYS_KEPT_FOR);
    match world.answers.get(key) {
        Some(saved) if saved.question == question => Ok(Answer {
            status: saved.status,
            body: saved.body.clone(),
            replayed: Some(saved.request_id.clone()),
        }),
        Some(_) => Err(Refusal::idempotency(format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        ))),
        None => {
            let result = endpoint(world, call, &params, version);
            let is_saved = result.as_ref().err().is_none_or(Refusal::is_saved);
            let answer = match result {
                Ok(value) => Answer::of(&value),
                Err(refusal) => Answer::refusal(&refusal, &call.request_id),
            };
            if is_saved {
                let (status, body) = (answer.status, answer.body.clone());
                let saved = SavedAnswer {
                    question,
                    status,
                    body,
                    request_id: call.request_id.clone(),
                    at: now,
                };
                world.answers.insert(key.to_owned(), saved);
            }
            Ok(answer)
        }
    }
}

fn perform(world: &mut World, call: &Call, params: &Params, version: &str) -> Result<Value, Refusal> {
    let idempotency_key = call.credentials.idempotency_key.clone();
    world.cause = Cause {
        request: Some(call.request_id.clone()),
        idempotency_key,
    };
    let clock = clock_of(world, call, params);
    let result = world.in_time_of(clock.as_deref(), |world| {
        let mut value = route(world, call, params)?;
        let legacy = shape::is_legacy(version);
        expand::expand(world, &mut value, &params.texts("expand"), legacy)?;
        shape::for_version(&mut value, version);
        Ok(value)
    });
    world.cause = Cause::default();
    result
}

/// The test clock of the customer whom a call is about: named by the path, or by a parameter.
fn clock_of(world: &World, call: &Call, params: &Params) -> Option<String> {
    let named = ["customer", "subscription", "charge", "payment_intent", "invoice"];
    let named = named.into_iter().filter_map(|name| params.text(name));
    let mut ids = call.path.split('/').chain(named);
    let clock = ids.find_map(|id| world.clock_behind(id));
    clock.or(params.text("test_clock")).map(str::to_owned)
}

fn route(world: &mut World, call: &Call, params: &Params) -> Result<Value, Refusal> {
    let path: Vec<&str> = call.path.trim_start_matches("/v1/").split('/').collect();
    let method = call.method.as_str();
    let (first, rest) = path
        .split_first()
        .map_or(("", path.as_slice()), |(first, rest)| (*first, rest));
    let served = match first {
        "products" => catalog::products(world, method, rest, params),
        "prices" => catalog::prices(world, method, rest, params),
        "customers" => customers::customers(world, method, rest, params),
        "checkout" => buying::sessions(world, method, rest, params),
        "billing_portal" => portal::portal_sessions(world, method, rest, params),
        "subscriptions" => subscriptions::subscriptions(world, method, rest, params),
        "subscription_items" => items::items(world, method, rest, params),
        "invoices" => invoices::invoices(world, method, rest, params),
        "invoice_payments" => payments::invoice_payments(world, method, rest, params),
        "payment_intents" => payments::payment_intents(world, method, rest, params),
        "charges" => money::charges(world, method, rest, params),
        "refunds" => refunds::refunds(world, method, rest, params),
        "payment_methods" => money::payment_methods(world, method, rest, params),
        "disputes" => disputes::disputes(world, method, rest, params),
        "radar" => disputes::fraud_warnings(world, method, rest, params),
        "coupons" => discounts::coupons(world, method, rest, params),
        "promotion_codes" => discounts::promotion_codes(world, method, rest, params),
        "test_helpers" => clocks::test_clocks(world, method, rest, params),
        "events" => events::events(world, method, rest, params),
        "webhook_endpoints" => endpoints::endpoints(world, method, rest, params),
        "account" if rest.is_empty() && method == "GET" => Some(account::get(params)),
        _ => None,
    };
    served.unwrap_or_else(|| {
        let message = format!(
            "Unrecognized request URL ({method}: {}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/.",
            call.path
        );
        Err(Refusal::invalid(message).status(404).early())
    })
}

/// What a resource makes of a call: nothing where it has no such route.
type Served = Option<Result<Value, Refusal>>;

/// Parameters that every call takes.
const COMMON: &[&str] = &["expand.#"];
