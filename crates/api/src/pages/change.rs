//! `/billing/change`: another plan is chosen, what it costs is shown, and only then it is changed.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::prices::Price;
use serde::Deserialize;

use crate::{
    account::Names,
    checkout::{
        change::{Planned, Wish, make_change, preview_change, quote::Quote, targets},
        held::Held,
        offer::{Offer, list_offers},
    },
    error::ApiError,
    http::context::Trace,
    pages::{
        frame::{Frame, Here},
        html, see_other, text,
    },
    session::SignedIn,
    state::State,
};

#[derive(Template)]
#[template(path = "pages/change.html")]
struct ChangePage {
    frame: Frame,
    subscription: String,
    plan: String,
    choices: Vec<Choice>,
}

#[derive(Debug)]
struct Choice {
    /// `slug/price`, which a form sends as one value.
    value: String,
    plan: String,
    text: String,
}

#[derive(Template)]
#[template(path = "pages/change_preview.html")]
struct PreviewPage {
    frame: Frame,
    subscription: String,
    /// The plan and the price, as the form sends them on.
    choice: String,
    question: String,
    outdated: bool,
    amount_due: i64,
    today: String,
    later: Option<String>,
    tax: bool,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    text: String,
    amount: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ChangeQuery {
    subscription: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ChangeForm {
    subscription: String,
    choice: String,
    /// What the preview said that is charged now.
    amount_due: Option<i64>,
}

impl ChangeForm {
    fn wish(&self) -> Wish<'_> {
        let (plan, price) = self
            .choice
            .split_once('/')
            .map_or((self.choice.as_str(), None), |(plan, price)| (plan, Some(price)));
        Wish {
            subscription: &self.subscription,
            plan,
            price,
            quantity: None,
        }
    }
}

/// Shows what the subscription can be changed to.
pub(crate) async fn get_change(
    request: HttpRequest,
    query: web::Query<ChangeQuery>,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    let held = Held::load(&mut tx, signed_in.member_id).await?;
    let stored = held
        .subscriptions
        .iter()
        .find(|stored| stored.facts.id.as_str() == query.subscription)
        .ok_or(ApiError::NotFound)?;
    let names = Names::load(&mut tx).await?;
    let offers = list_offers(&mut tx).await?;
    let targets = targets(&mut tx, signed_in.member_id, stored, &offers).await?;
    tx.commit().await?;
    html(&ChangePage {
        frame: frame(&state, &request, "Change your plan"),
        subscription: stored.facts.id.to_string(),
        plan: names.plan(stored.facts.plan.as_ref()),
        choices: targets
            .into_iter()
            .map(|(offer, price)| choice(offer, price))
            .collect(),
    })
}

fn choice(offer: &Offer, price: &Price) -> Choice {
    Choice {
        value: format!("{}/{}", offer.plan.slug, price.id),
        plan: offer.plan.name.clone(),
        text: text::price(price).unwrap_or_else(|| "Price shown in the next step".to_owned()),
    }
}

/// Shows what a change costs.
pub(crate) async fn post_preview(
    request: HttpRequest,
    signed_in: SignedIn,
    form: web::Form<ChangeForm>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    preview(&request, signed_in, &form, &state, false).await
}

/// Changes the plan if it costs what was shown; else shows what it costs now.
pub(crate) async fn post_change(
    request: HttpRequest,
    signed_in: SignedIn,
    trace: Trace,
    form: web::Form<ChangeForm>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    // A form without a sum is none of ours: nobody pays what they have not seen.
    let Some(confirmed) = form.amount_due else {
        return preview(&request, signed_in, &form, &state, false).await;
    };
    match make_change(&state, &trace, signed_in, form.wish(), Some(confirmed)).await {
        // The second click of two: it has been changed.
        Ok(_) | Err(ApiError::NothingToChange) => Ok(see_other("/dashboard?notice=changed")),
        Err(ApiError::PreviewOutdated) => preview(&request, signed_in, &form, &state, true).await,
        Err(error) => Err(error),
    }
}

async fn preview(
    request: &HttpRequest,
    signed_in: SignedIn,
    form: &ChangeForm,
    state: &State,
    outdated: bool,
) -> Result<HttpResponse, ApiError> {
    let (planned, quote) = preview_change(state, signed_in, form.wish()).await?;
    html(&PreviewPage {
        frame: frame(state, request, "What the change costs"),
        subscription: planned.subscription.to_string(),
        choice: form.choice.clone(),
        outdated,
        amount_due: quote.amount_due,
        today: today(&quote),
        later: later(&quote),
        tax: planned.tax,
        lines: lines(&quote),
        question: question(&planned),
    })
}

fn frame(state: &State, request: &HttpRequest, title: &str) -> Frame {
    let mut frame = Frame::new(state, request, title, Here::Dashboard);
    frame.signed_in = true;
    frame
}

/// `Change to Patron?`
fn question(planned: &Planned) -> String {
    let plan = &planned.plan.name;
    let keeps_plan = planned.held_plan.as_ref() == Some(&planned.plan.slug);
    match text::price(&planned.price).filter(|_| keeps_plan) {
        Some(price) => format!("Pay {price} for {plan}?"),
        None => format!("Change to {plan}?"),
    }
}

/// `Today you pay €12.34.`
fn today(quote: &Quote) -> String {
    let money = |amount| text::money(amount, &quote.currency);
    match (quote.amount_due, quote.credit) {
        (0, 0) => "Today you pay nothing.".to_owned(),
        (0, credit) => format!(
            "Today you pay nothing. {} of what you have paid stay on your account and are taken off your next bills.",
            money(credit)
        ),
        (due, _) => format!("Today you pay {}.", money(due)),
    }
}

/// `From 1 December 2026: €20 a month.`
fn later(quote: &Quote) -> Option<String> {
    let amount = text::money(quote.next.amount?, &quote.currency);
    let every = text::period(quote.next.interval.as_deref()?, quote.next.interval_count);
    Some(match quote.next.at {
        Some(at) => format!("From {}: {amount} {every}.", text::date(at)),
        None => format!("After that: {amount} {every}."),
    })
}

fn lines(quote: &Quote) -> Vec<Line> {
    let lines = quote.lines.iter().map(|line| Line {
        text: line.description.clone(),
        amount: text::money(line.amount, &quote.currency),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::checkout::change::quote::Next;

    fn quote(amount_due: i64, credit: i64) -> Quote {
        Quote {
            amount_due,
            credit,
            currency: "eur".to_owned(),
            lines: Vec::new(),
            next: Next {
                amount: Some(2_000),
                interval: Some("month".to_owned()),
                interval_count: Some(1),
                at: DateTime::from_timestamp(1_796_083_200, 0),
            },
            prorated_at: DateTime::UNIX_EPOCH,
            total: amount_due - credit,
        }
    }

    #[test]
    fn what_a_change_costs_is_said_in_words_and_numbers() {
        assert_eq!(today(&quote(1_234, 0)), "Today you pay €12.34.");
        assert_eq!(today(&quote(0, 0)), "Today you pay nothing.");
        assert!(today(&quote(0, 550)).contains("€5.50 of what you have paid stay"));
        let mut shown = quote(1_234, 0);
        assert_eq!(
            later(&shown).as_deref(),
            Some("From 1 December 2026: €20 a month.")
        );
        shown.currency = "jpy".to_owned();
        shown.next.interval_count = Some(3);
        assert_eq!(
            later(&shown).as_deref(),
            Some("From 1 December 2026: 2\u{202f}000 JPY every 3 months.")
        );
        shown.next.amount = None;
        assert_eq!(later(&shown), None, "tiers");
    }

    #[test]
    fn a_choice_names_a_plan_and_perhaps_a_price() {
        let form = |choice: &str| ChangeForm {
            subscription: "sub_1".to_owned(),
            choice: choice.to_owned(),
            amount_due: None,
        };
        let both = form("inner/price_1");
        assert_eq!((both.wish().plan, both.wish().price), ("inner", Some("price_1")));
        let plan = form("inner");
        assert_eq!((plan.wish().plan, plan.wish().price), ("inner", None));
    }
}
