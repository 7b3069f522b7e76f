//! The checkout page and the bank's confirmation.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::stripe::http::State;
use crate::stripe::pages::view::{CardChoice, LineView, cards};
use crate::stripe::pages::{Message, gone, html, see_other};
use crate::stripe::story::bill::money;
use crate::stripe::world::World;
use crate::stripe::world::customer::Card;
use crate::stripe::world::session::{CheckoutSession, Mode, SessionStatus};

const UNKNOWN: &str = "There is no such checkout session.";

#[derive(Template)]
#[template(path = "stripe/checkout.html")]
struct CheckoutPage {
    id: String,
    heading: &'static str,
    total: String,
    lines: Vec<LineView>,
    trial: Option<String>,
    problem: Option<String>,
    email: String,
    email_fixed: bool,
    cards: Vec<CardChoice>,
    button: &'static str,
    cancel_url: Option<String>,
}

#[derive(Template)]
#[template(path = "stripe/confirm.html")]
struct ConfirmPage<'a> {
    id: &'a str,
    email: &'a str,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Payment {
    email: String,
    card: Card,
    #[serde(default)]
    confirmation: Option<Confirmation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Confirmation {
    Complete,
    Fail,
}

/// `GET /c/pay/{id}`
pub(crate) async fn show(state: Data<State>, id: Path<String>) -> HttpResponse {
    let page = state.shared.read(|world| {
        let session = world.checkouts.get(&id)?;
        Some(closed(session).unwrap_or_else(|| form(world, session, Card::Works, None, None)))
    });
    page.unwrap_or_else(|| gone(UNKNOWN))
}

/// `POST /c/pay/{id}`
pub(crate) async fn pay(state: Data<State>, id: Path<String>, payment: Form<Payment>) -> HttpResponse {
    let Some(session) = state.shared.read(|world| world.checkouts.get(&id).cloned()) else {
        return gone(UNKNOWN);
    };
    if let Some(page) = closed(&session) {
        return page;
    }
    let problem = |words: &str| {
        state
            .shared
            .read(|world| form(world, &session, payment.card, Some(&payment.email), Some(words)))
    };
    if !payment.email.contains('@') {
        return problem("Please enter an email address.");
    }
    if payment.confirmation == Some(Confirmation::Fail) {
        return problem(
            "We are unable to authenticate your payment method. Please choose a different one and try again.",
        );
    }
    let confirmed = payment.confirmation == Some(Confirmation::Complete);
    let done = state
        .shared
        .with(|world| world.complete_checkout(&id, &payment.email, payment.card, confirmed));
    match done {
        Ok(()) => see_other(&session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id)),
        Err(_) if payment.card == Card::RequiresAction && !confirmed => html(
            StatusCode::OK,
            &ConfirmPage {
                id: &session.id,
                email: &payment.email,
            },
        ),
        Err(refusal) => problem(&refusal.to_string()),
    }
}

fn closed(session: &CheckoutSession) -> Option<HttpResponse> {
    let (heading, words, back) = match session.status {
        SessionStatus::Open => return None,
        SessionStatus::Complete => {
            let url = session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id);
            ("All done", "This checkout was completed.", Some(url))
        }
        SessionStatus::Expired => (
            "Too late",
            "This checkout has expired.",
            session.cancel_url.clone(),
        ),
    };
    Some(html(StatusCode::GONE, &Message { heading, words, back }))
}

fn form(
    world: &World,
    session: &CheckoutSession,
    card: Card,
    email: Option<&str>,
    problem: Option<&str>,
) -> HttpResponse {
    let known = session
        .customer
        .as_ref()
        .and_then(|id| world.customers.get(id)?.email.clone());
    let fixed = known.clone().or_else(|| session.customer_email.clone());
    let trial = session.subscription_data.trial_days;
    let currency = session.currency.as_deref().unwrap_or("usd");
    let (heading, button) = match session.mode {
        Mode::Subscription if trial.is_some() => ("Start your trial", "Start trial"),
        Mode::Subscription => ("Subscribe", "Subscribe"),
        Mode::Payment => ("Pay", "Pay"),
        Mode::Setup => ("Save a card", "Save card"),
    };
    let page = CheckoutPage {
        id: session.id.clone(),
        heading,
        total: world
            .checkout_total(session)
            .map_or_else(String::new, |total| money(total, currency)),
        lines: lines(world, session),
        trial: trial.map(|days| format!("Nothing to pay for {days} days, then as above.")),
        problem: problem.map(str::to_owned),
        email: fixed
            .clone()
            .or_else(|| email.map(str::to_owned))
            .unwrap_or_default(),
        email_fixed: fixed.is_some(),
        cards: cards(card),
        button,
        cancel_url: session.cancel_url.clone(),
    };
    let status = if problem.is_some() {
        StatusCode::PAYMENT_REQUIRED
    } else {
        StatusCode::OK
    };
    html(status, &page)
}

fn lines(world: &World, session: &CheckoutSession) -> Vec<LineView> {
    let lines = session.lines.iter().filter_map(|line| {
        let price = world.prices.get(&line.price)?;
        let name = world
            .products
            .get(&price.product)
            .map_or("", |product| product.name.as_str());
        let amount = money(price.unit_amount * line.quantity, &price.currency);
        let every = price
            .recurring
            .map_or(String::new(), |each| format!(" / {}", each.interval.name()));
        Some(LineView {
            name: name.to_owned(),
            quantity: line.quantity,
            amount: format!("{amount}{every}"),
        })
    });
    lines.collect()
}
