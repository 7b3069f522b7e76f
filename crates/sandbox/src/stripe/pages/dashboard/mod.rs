//! The dashboard: what the account knows, and buttons that make things happen.

pub(super) mod account;
mod buttons;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::stripe::control::advance_by;
use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::pages::dashboard::account::{ClockView, CouponView, EndpointView, RetryChoice};
use crate::stripe::pages::dashboard::buttons::{Wish, buttons, more_buttons};
use crate::stripe::pages::view::{Button, InvoiceView, SubscriptionView, card_words, moment};
use crate::stripe::pages::{html, see_other};
use crate::stripe::world::World;
use crate::stripe::world::event::Event;
use crate::stripe::world::subscription::Subscription;

/// How many of the newest rows each table shows.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "stripe/dashboard.html")]
struct DashboardPage {
    now: String,
    held: bool,
    problem: Option<String>,
    retries: Vec<RetryChoice>,
    clocks: Vec<ClockView>,
    subscriptions: Vec<Row>,
    coupons: Vec<CouponView>,
    endpoints: Vec<EndpointView>,
    customers: Vec<CustomerView>,
    invoices: Vec<InvoiceView>,
    events: Vec<EventView>,
}

/// A subscription, with what is seldom done to it.
struct Row {
    view: SubscriptionView,
    more: Vec<Button>,
}

impl Row {
    fn new(world: &World, row: &Subscription) -> Self {
        Self {
            view: SubscriptionView::new(world, row, buttons(row)),
            more: more_buttons(row),
        }
    }
}

struct CustomerView {
    id: String,
    email: String,
    card: String,
}

struct EventView {
    id: String,
    at: String,
    kind: &'static str,
    deliveries: String,
}

/// `GET /`
pub(crate) async fn show(state: Data<State>) -> HttpResponse {
    state.shared.read(|world| page(world, None))
}

/// `POST /dashboard/subscriptions/{id}`
pub(crate) async fn act(state: Data<State>, id: Path<String>, wish: Form<Wish>) -> HttpResponse {
    let done = wish.action();
    let done = done.and_then(|action| state.shared.with(|world| world.act(&id, &action)));
    back(&state, done)
}

/// `POST /dashboard/events/{id}/resend`
pub(crate) async fn resend(state: Data<State>, id: Path<String>) -> HttpResponse {
    let done = state.shared.with(|world| world.resend(&id));
    back(&state, done)
}

/// How many days pass.
#[derive(Debug, Deserialize)]
pub(crate) struct Days {
    days: i64,
}

/// `POST /dashboard/advance`
pub(crate) async fn advance(state: Data<State>, by: Form<Days>) -> HttpResponse {
    let done = state
        .shared
        .with(|world| advance_by(world, by.days.saturating_mul(86_400)));
    back(&state, done.map(drop))
}

/// Whether webhooks are kept back.
#[derive(Debug, Deserialize)]
pub(crate) struct Hold {
    held: bool,
}

/// `POST /dashboard/hold`
pub(crate) async fn hold(state: Data<State>, hold: Form<Hold>) -> HttpResponse {
    state.shared.with(|world| world.queue.hold(hold.held));
    see_other("/")
}

pub(super) fn back(state: &State, done: Result<(), Refusal>) -> HttpResponse {
    match done {
        Ok(()) => see_other("/"),
        Err(refusal) => state.shared.read(|world| page(world, Some(refusal.to_string()))),
    }
}

fn page(world: &World, problem: Option<String>) -> HttpResponse {
    let subscriptions = world.subscriptions.newest().take(SHOWN);
    let customers = world.customers.newest().filter(|row| !row.deleted).take(SHOWN);
    let status = if problem.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let page = DashboardPage {
        now: moment(world.now()),
        held: world.queue.is_held(),
        problem,
        retries: account::retries(world),
        clocks: account::clocks(world),
        subscriptions: subscriptions.map(|row| Row::new(world, row)).collect(),
        coupons: account::coupons(world),
        endpoints: account::endpoints(world),
        customers: customers
            .map(|row| CustomerView {
                id: row.id.clone(),
                email: row.email.clone().unwrap_or_default(),
                card: card_words(world, &row.id),
            })
            .collect(),
        invoices: world
            .invoices
            .newest()
            .take(SHOWN)
            .map(InvoiceView::new)
            .collect(),
        events: world
            .events
            .newest()
            .take(SHOWN)
            .map(|event| event_view(world, event))
            .collect(),
    };
    html(status, &page)
}

fn event_view(world: &World, event: &Event) -> EventView {
    let deliveries = world
        .deliveries
        .iter()
        .filter(|delivery| delivery.event == event.id);
    let words = deliveries.map(|delivery| {
        let last = delivery.attempts.last();
        let answer = last.and_then(|attempt| attempt.status.map(|status| format!(" ({status})")));
        format!(
            "{} after {}{}",
            delivery.state.name(),
            delivery.attempts.len(),
            answer.unwrap_or_default()
        )
    });
    EventView {
        id: event.id.clone(),
        at: moment(event.created),
        kind: event.kind,
        deliveries: words.collect::<Vec<_>>().join(", "),
    }
}
