//! Parts that several pages show.

use chrono::DateTime;

use crate::stripe::story::bill::money;
use crate::stripe::world::World;
use crate::stripe::world::catalog::Price;
use crate::stripe::world::customer::Card;
use crate::stripe::world::invoice::{Invoice, InvoiceStatus};
use crate::stripe::world::subscription::{Status, Subscription};

/// A card to choose.
pub(crate) struct CardChoice {
    /// What the form sends.
    pub value: &'static str,
    /// What people read.
    pub words: &'static str,
    /// Whether it is chosen already.
    pub chosen: bool,
}

/// All cards, one of them chosen.
pub(crate) fn cards(chosen: Card) -> Vec<CardChoice> {
    let choice = |(card, value, words): (Card, _, _)| CardChoice {
        value,
        words,
        chosen: card == chosen,
    };
    Card::CHOICES.map(choice).into_iter().collect()
}

/// The cards that a purchase offers, one of them chosen.
pub(crate) fn offered(kinds: &[String], chosen: Card) -> Vec<CardChoice> {
    let offers = |kind: &str| kinds.is_empty() || kinds.iter().any(|offered| offered == kind);
    let mut choices = cards(chosen);
    choices.retain(|choice| {
        let card = Card::CHOICES.iter().find(|(_, value, _)| *value == choice.value);
        let takes_days = card.is_some_and(|(card, _, _)| card.takes_days());
        offers(if takes_days { "us_bank_account" } else { "card" })
    });
    choices
}

/// A position with its amount.
pub(crate) struct LineView {
    /// What it is.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// What it costs.
    pub amount: String,
}

/// A button that makes something happen.
pub(crate) struct Button {
    /// What the form sends.
    pub value: &'static str,
    /// What people read.
    pub words: &'static str,
    /// Whether it takes something away.
    pub bad: bool,
}

impl Button {
    /// A button.
    pub(crate) fn new(value: &'static str, words: &'static str) -> Self {
        Self {
            value,
            words,
            bad: false,
        }
    }

    /// A button that takes something away.
    pub(crate) fn bad(value: &'static str, words: &'static str) -> Self {
        Self {
            value,
            words,
            bad: true,
        }
    }
}

/// A subscription on a page.
pub(crate) struct SubscriptionView {
    /// `sub_...`
    pub id: String,
    /// Quantities and products.
    pub what: String,
    /// The status, with what is planned.
    pub status: String,
    /// The colour of the status.
    pub tone: &'static str,
    /// The current period.
    pub period: String,
    /// Who pays.
    pub customer: String,
    /// Of the first item.
    pub quantity: i64,
    /// Whether it can be changed.
    pub living: bool,
    /// Other plans, the present one chosen.
    pub plans: Vec<PlanChoice>,
    /// What can be done.
    pub buttons: Vec<Button>,
}

/// A price to choose.
pub(crate) struct PlanChoice {
    /// What the form sends.
    pub price: String,
    /// What people read.
    pub words: String,
    /// Whether the subscription has it.
    pub chosen: bool,
}

/// The prices that a subscription could have.
fn plans(world: &World, row: &Subscription) -> Vec<PlanChoice> {
    let present = row.items.first().map(|item| item.price.as_str());
    let fits = |price: &&Price| {
        price.recurring.is_some() && !price.deleted && price.active && price.currency == row.currency
    };
    let choice = |price: &Price| {
        let product = world.products.get(&price.product);
        let name = product.map_or(price.product.as_str(), |product| product.name.as_str());
        let every = price.recurring.map_or("once", |each| each.interval.name());
        PlanChoice {
            price: price.id.clone(),
            words: format!("{name} ({} / {every})", money(price.unit_amount, &price.currency)),
            chosen: present == Some(price.id.as_str()),
        }
    };
    world.prices.rows().iter().filter(fits).map(choice).collect()
}

impl SubscriptionView {
    /// Shows a subscription with these buttons.
    pub(crate) fn new(world: &World, row: &Subscription, buttons: Vec<Button>) -> Self {
        let customer = world
            .customers
            .get(&row.customer)
            .and_then(|customer| customer.email.clone());
        let start = row
            .items
            .iter()
            .map(|item| item.period_start)
            .min()
            .unwrap_or(row.created);
        Self {
            id: row.id.clone(),
            what: what(world, row),
            status: status_words(row),
            tone: tone(row.status),
            period: format!("{} to {}", day(start), day(row.period_end())),
            customer: customer.unwrap_or_else(|| row.customer.clone()),
            quantity: row.items.first().map_or(1, |item| item.quantity),
            living: !row.over(),
            plans: plans(world, row),
            buttons,
        }
    }
}

fn what(world: &World, row: &Subscription) -> String {
    let items = row.items.iter().map(|item| {
        let price = world.prices.get(&item.price);
        let name = price.and_then(|price| world.products.get(&price.product));
        let name = name.map_or(item.price.as_str(), |product| product.name.as_str());
        let amount = price.map(|price| money(price.unit_amount * item.quantity, &price.currency));
        let every = price
            .and_then(|price| price.recurring)
            .map_or("once", |each| each.interval.name());
        format!(
            "{} × {name} ({} / {every})",
            item.quantity,
            amount.unwrap_or_default()
        )
    });
    items.collect::<Vec<_>>().join(", ")
}

fn status_words(row: &Subscription) -> String {
    let mut words = row.status.name().replace('_', " ");
    if row.cancel_at_period_end && !row.over() {
        words.push_str(", ends with the period");
    }
    if row.pause_collection.is_some() && !row.over() {
        words.push_str(", collection paused");
    }
    if row.pending_update.is_some() {
        words.push_str(", a change waits for its payment");
    }
    words
}

fn tone(status: Status) -> &'static str {
    match status {
        Status::Active | Status::Trialing => "good",
        Status::PastDue | Status::Incomplete | Status::Paused => "warn",
        Status::Unpaid | Status::Canceled | Status::IncompleteExpired => "bad",
    }
}

/// An invoice on a page.
pub(crate) struct InvoiceView {
    /// `in_...`
    pub id: String,
    /// The number, or the id of a draft.
    pub number: String,
    /// What is owed.
    pub amount: String,
    /// The status.
    pub status: &'static str,
    /// The colour of the status.
    pub tone: &'static str,
    /// How often payment was tried.
    pub attempts: u32,
}

impl InvoiceView {
    /// Shows an invoice.
    pub(crate) fn new(invoice: &Invoice) -> Self {
        Self {
            id: invoice.id.clone(),
            number: invoice.number.clone().unwrap_or_else(|| invoice.id.clone()),
            amount: money(invoice.amount_due(), &invoice.currency),
            status: invoice.status.name(),
            tone: match invoice.status {
                InvoiceStatus::Paid => "good",
                InvoiceStatus::Open => "warn",
                InvoiceStatus::Draft | InvoiceStatus::Void => "",
                InvoiceStatus::Uncollectible => "bad",
            },
            attempts: invoice.attempt_count,
        }
    }
}

/// A day as people read it.
pub(crate) fn day(at: i64) -> String {
    DateTime::from_timestamp(at, 0)
        .unwrap_or_default()
        .format("%-d %b %Y")
        .to_string()
}

/// A moment as people read it.
pub(crate) fn moment(at: i64) -> String {
    DateTime::from_timestamp(at, 0)
        .unwrap_or_default()
        .format("%-d %b %Y, %H:%M:%S UTC")
        .to_string()
}

/// A customer's card as people read it.
pub(crate) fn card_words(world: &World, customer: &str) -> String {
    let card = world
        .customers
        .get(customer)
        .and_then(|row| world.payment_methods.get(row.card.as_ref()?));
    let Some(method) = card else {
        return "No card on file".to_owned();
    };
    let mut choices = Card::CHOICES.iter();
    let words = choices.find(|(choice, _, _)| *choice == method.card);
    let words = words.map_or("", |(_, _, words)| *words);
    // The caller's own digits, in place of the test number's.
    words.replace(method.card.last4(), method.last4())
}
