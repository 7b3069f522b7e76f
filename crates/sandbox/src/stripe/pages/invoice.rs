//! The page of one invoice, where it can be paid.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Form, Path};
use askama::Template;
use serde::Deserialize;

use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::pages::view::{CardChoice, InvoiceView, LineView, cards};
use crate::stripe::pages::{gone, html, see_other};
use crate::stripe::story::bill::money;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::World;
use crate::stripe::world::customer::Card;
use crate::stripe::world::invoice::{Invoice, InvoiceStatus};

#[derive(Template)]
#[template(path = "stripe/invoice.html")]
struct InvoicePage {
    id: String,
    number: String,
    total: String,
    status: &'static str,
    tone: &'static str,
    lines: Vec<LineView>,
    problem: Option<String>,
    payable: bool,
    cards: Vec<CardChoice>,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(crate) struct Payment {
    card: Card,
}

/// `GET /i/{id}`
pub(crate) async fn show(state: Data<State>, id: Path<String>) -> HttpResponse {
    state.shared.read(|world| page(world, &id, None))
}

/// `POST /i/{id}`
pub(crate) async fn pay(state: Data<State>, id: Path<String>, payment: Form<Payment>) -> HttpResponse {
    let pay = |world: &mut World| pay_with(world, &id, payment.card);
    match state.shared.with(|world| world.in_time_behind(&id, pay)) {
        Ok(()) => see_other(&format!("/i/{id}")),
        Err(refusal) => state
            .shared
            .read(|world| page(world, &id, Some(refusal.to_string()))),
    }
}

/// The card is put on file and charged at once, its holder being at hand.
fn pay_with(world: &mut World, id: &str, card: Card) -> Result<(), Refusal> {
    let customer = world.invoice(id)?.customer.clone();
    if card == Card::Declines {
        world.pay_invoice(id, Means::Certain(Outcome::Declined))?;
        return Err(Refusal::declined());
    }
    world.attach_card(&customer, card)?;
    world.pay_invoice(id, Means::FirstTime).map(drop)
}

fn page(world: &World, id: &str, problem: Option<String>) -> HttpResponse {
    let Some(invoice) = world.invoices.get(id) else {
        return gone("There is no such invoice.");
    };
    let view = InvoiceView::new(invoice);
    let status = if problem.is_some() {
        StatusCode::PAYMENT_REQUIRED
    } else {
        StatusCode::OK
    };
    let page = InvoicePage {
        id: view.id,
        number: view.number,
        total: view.amount,
        status: view.status,
        tone: view.tone,
        lines: lines(invoice),
        problem,
        payable: matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible),
        cards: cards(Card::Works),
    };
    html(status, &page)
}

fn lines(invoice: &Invoice) -> Vec<LineView> {
    let lines = invoice.lines.iter().map(|line| LineView {
        name: line.description.clone(),
        quantity: line.quantity,
        amount: money(line.amount, &invoice.currency),
    });
    lines.collect()
}
