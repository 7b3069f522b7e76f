//! The billing portal.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::pages::view::{Button, CardChoice, InvoiceView, SubscriptionView, card_words, cards};
use crate::stripe::pages::{gone, html, see_other};
use crate::stripe::story::Action;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::World;
use crate::stripe::world::customer::Card;
use crate::stripe::world::session::PortalSession;
use crate::stripe::world::subscription::{Status, Subscription};

const UNKNOWN: &str = "There is no such portal session.";

#[derive(Template)]
#[template(path = "stripe/portal.html")]
struct PortalPage {
    id: String,
    card: String,
    cards: Vec<CardChoice>,
    subscriptions: Vec<SubscriptionView>,
    invoices: Vec<InvoiceView>,
    problem: Option<String>,
    return_url: Option<String>,
}

/// What the forms send.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    r#do: Deed,
    subscription: Option<String>,
    card: Option<Card>,
    quantity: Option<i64>,
    price: Option<String>,
}

/// What a customer can do for themselves.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    SetCard,
    CancelAtPeriodEnd,
    KeepAfterPeriodEnd,
    Cancel,
    Resume,
    Pay,
    SetQuantity,
    SetPlan,
}

/// `GET /p/session/{id}`
pub(crate) async fn show(state: Data<State>, id: Path<String>) -> HttpResponse {
    state.shared.read(|world| page(world, &id, None))
}

/// `POST /p/session/{id}`
pub(crate) async fn act(state: Data<State>, id: Path<String>, wish: Form<Wish>) -> HttpResponse {
    let Some(session) = state.shared.read(|world| world.portals.get(&id).cloned()) else {
        return gone(UNKNOWN);
    };
    match state.shared.with(|world| fulfil(world, &session, &wish)) {
        Ok(()) => see_other(&format!("/p/session/{id}")),
        Err(refusal) => state
            .shared
            .read(|world| page(world, &id, Some(refusal.to_string()))),
    }
}

fn fulfil(world: &mut World, session: &PortalSession, wish: &Wish) -> Result<(), Refusal> {
    if let Deed::SetCard = wish.r#do {
        let card = wish.card.ok_or_else(|| Refusal::required("card"))?;
        let customer = &session.customer;
        let attach = |world: &mut World| world.attach_card(customer, card);
        return world.in_time_behind(customer, attach).map(drop);
    }
    let id = wish
        .subscription
        .as_deref()
        .ok_or_else(|| Refusal::required("subscription"))?;
    if world.subscription(id)?.customer != session.customer {
        return Err(Refusal::missing("subscription", id));
    }
    let action = match wish.r#do {
        Deed::CancelAtPeriodEnd => Action::CancelAtPeriodEnd,
        Deed::KeepAfterPeriodEnd => Action::KeepAfterPeriodEnd,
        Deed::Cancel => Action::Cancel,
        Deed::Resume => Action::Resume,
        Deed::SetQuantity => {
            let quantity = wish.quantity.filter(|quantity| (1..=999_999).contains(quantity));
            Action::SetQuantity {
                quantity: quantity.ok_or_else(|| Refusal::required("quantity"))?,
            }
        }
        Deed::SetPlan => Action::SetPrice {
            price: wish.price.clone().ok_or_else(|| Refusal::required("price"))?,
        },
        Deed::SetCard | Deed::Pay => {
            return world.in_time_behind(id, |world| pay(world, id));
        }
    };
    world.act(id, &action)
}

/// The card on file pays, its holder being at hand.
fn pay(world: &mut World, subscription: &str) -> Result<(), Refusal> {
    let open = world.open_invoice(subscription)?;
    let invoice = open.ok_or_else(|| Refusal::invalid("There is nothing to pay."))?;
    match world.pay_invoice(&invoice, Means::FirstTime)? {
        Outcome::Paid | Outcome::Processing => Ok(()),
        Outcome::Declined => Err(Refusal::declined()),
        Outcome::ActionRequired => Err(Refusal::action_required()),
    }
}

fn page(world: &World, id: &str, problem: Option<String>) -> HttpResponse {
    let Some(session) = world.portals.get(id) else {
        return gone(UNKNOWN);
    };
    let customer = &session.customer;
    let subscriptions = world.subscriptions.of(customer).rev();
    let invoices = world.invoices.of(customer).rev();
    let invoices = invoices.filter(|row| row.finalized_at.is_some());
    let status = if problem.is_some() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    };
    let page = PortalPage {
        id: id.to_owned(),
        card: card_words(world, customer),
        cards: cards(Card::Works),
        subscriptions: subscriptions
            .map(|row| SubscriptionView::new(world, row, buttons(world, row)))
            .collect(),
        invoices: invoices.take(20).map(InvoiceView::new).collect(),
        problem,
        return_url: session.return_url.clone(),
    };
    html(status, &page)
}

fn buttons(world: &World, row: &Subscription) -> Vec<Button> {
    if row.over() {
        return Vec::new();
    }
    let mut buttons = Vec::new();
    if world.open_invoice(&row.id).is_ok_and(|open| open.is_some()) {
        buttons.push(Button::new("pay", "Pay open invoice"));
    }
    if row.status == Status::Paused {
        buttons.push(Button::new("resume", "Resume"));
    }
    if row.cancel_at_period_end {
        buttons.push(Button::new("keep_after_period_end", "Don't cancel"));
    } else {
        buttons.push(Button::bad("cancel_at_period_end", "Cancel at period end"));
    }
    buttons.push(Button::bad("cancel", "Cancel now"));
    buttons
}
