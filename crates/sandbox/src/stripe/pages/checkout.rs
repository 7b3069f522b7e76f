//! The checkout page and the bank's confirmation.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::stripe::http::State;
use crate::stripe::pages::view::{CardChoice, LineView, day, offered};
use crate::stripe::pages::{Message, gone, html, see_other};
use crate::stripe::story::bill::money;
use crate::stripe::story::checkout::Purchase;
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
    /// Whether a trial can begin without any of them.
    card_optional: bool,
    /// What discounts take off.
    saved: Option<String>,
    /// Whether a code can be typed in.
    takes_codes: bool,
    promotion_code: String,
    button: &'static str,
    cancel_url: Option<String>,
}

#[derive(Template)]
#[template(path = "stripe/confirm.html")]
struct ConfirmPage<'a> {
    id: &'a str,
    payment: &'a Payment,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Payment {
    email: String,
    card: CardField,
    #[serde(default)]
    last4: String,
    #[serde(default)]
    promotion_code: String,
    #[serde(default)]
    confirmation: Option<Confirmation>,
}

impl Payment {
    fn purchase(&self) -> Purchase {
        let last4 = self.last4.trim();
        Purchase {
            email: self.email.clone(),
            card: self.card.card(),
            last4: (!last4.is_empty()).then(|| last4.to_owned()),
            confirmed: self.confirmation == Some(Confirmation::Complete),
            promotion_code: Some(self.promotion_code.clone()),
        }
    }
}

/// A card, or none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum CardField {
    Card(Card),
    None(NoCard),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum NoCard {
    None,
}

impl CardField {
    fn card(self) -> Option<Card> {
        match self {
            Self::Card(card) => Some(card),
            Self::None(NoCard::None) => None,
        }
    }
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
        Some(closed(session).unwrap_or_else(|| form(world, session, None, None)))
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
            .read(|world| form(world, &session, Some(&payment), Some(words)))
    };
    if !payment.email.contains('@') {
        return problem("Please enter an email address.");
    }
    if payment.confirmation == Some(Confirmation::Fail) {
        return problem(
            "We are unable to authenticate your payment method. Please choose a different one and try again.",
        );
    }
    let purchase = payment.purchase();
    let done = state.shared.with(|world| world.complete_purchase(&id, &purchase));
    match done {
        Ok(()) => see_other(&session.success_url.replace("{CHECKOUT_SESSION_ID}", &session.id)),
        Err(refusal) if refusal.asks_for_action() => html(
            StatusCode::OK,
            &ConfirmPage {
                id: &session.id,
                payment: &payment,
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
    typed: Option<&Payment>,
    problem: Option<&str>,
) -> HttpResponse {
    let known = session
        .customer
        .as_ref()
        .and_then(|id| world.customers.get(id)?.email.clone());
    let fixed = known.or_else(|| session.customer_email.clone());
    let trial = world.begins_with_trial(session);
    let currency = session.currency.as_deref().unwrap_or("usd");
    let (heading, button) = match session.mode {
        Mode::Subscription if trial => ("Start your trial", "Start trial"),
        Mode::Subscription => ("Subscribe", "Subscribe"),
        Mode::Payment => ("Pay", "Pay"),
        Mode::Setup => ("Save a card", "Save card"),
    };
    let saved: i64 = world
        .checkout_lines(session)
        .iter()
        .map(|line| line.amount - line.net())
        .sum();
    let card = typed.and_then(|payment| payment.card.card()).unwrap_or_default();
    let page = CheckoutPage {
        id: session.id.clone(),
        heading,
        total: world
            .checkout_total(session)
            .map_or_else(String::new, |total| money(total, currency)),
        lines: lines(world, session),
        trial: trial.then(|| trial_words(session)),
        problem: problem.map(str::to_owned),
        email: fixed
            .clone()
            .or_else(|| typed.map(|payment| payment.email.clone()))
            .unwrap_or_default(),
        email_fixed: fixed.is_some(),
        cards: offered(&session.payment_method_types, card),
        card_optional: trial && session.card_if_required,
        saved: (saved > 0).then(|| money(-saved, currency)),
        takes_codes: session.allow_promotion_codes == Some(true),
        promotion_code: typed
            .map(|payment| payment.promotion_code.clone())
            .unwrap_or_default(),
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

fn trial_words(session: &CheckoutSession) -> String {
    match (
        session.subscription_data.trial_end,
        session.subscription_data.trial_days,
    ) {
        (Some(end), _) => format!("Nothing to pay until {}, then as above.", day(end)),
        (None, days) => format!("Nothing to pay for {} days, then as above.", days.unwrap_or(0)),
    }
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
