//! `/plans`: what is on sale, one form a plan.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::{prices::Price, subscriptions::list_subscriptions_of};
use rolecall_domain::catalog::PlanKind;
use serde::Deserialize;

use crate::{
    account::Names,
    checkout::{
        offer::{Offer, list_offers},
        start::holds,
    },
    error::ApiError,
    pages::{
        frame::{Frame, Here},
        html, text,
    },
    session::extract::Visitor,
    state::State,
};

#[derive(Template)]
#[template(path = "pages/plans.html")]
struct PlansPage {
    frame: Frame,
    plans: Vec<PlanCard>,
}

#[derive(Debug)]
struct PlanCard {
    slug: String,
    name: String,
    amount: Option<String>,
    every: Option<String>,
    trial_days: u32,
    roles: Vec<String>,
    company: bool,
    held: bool,
    chosen: bool,
    choices: Vec<Choice>,
}

impl PlanCard {
    /// The price shown is the first of several.
    fn is_from(&self) -> bool {
        self.choices.len() > 1 && !self.chosen
    }
}

#[derive(Debug)]
struct Choice {
    id: String,
    text: String,
    checked: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PlansQuery {
    /// The plan that was chosen before signing in.
    chosen: Option<String>,
    price: Option<String>,
}

/// Shows them.
pub(crate) async fn get_plans(
    request: HttpRequest,
    query: web::Query<PlansQuery>,
    visitor: Visitor,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    let names = Names::load(&mut tx).await?;
    let offers = list_offers(&mut tx).await?;
    let subscriptions = match visitor.0 {
        Some(signed_in) => list_subscriptions_of(&mut tx, signed_in.member_id).await?,
        None => Vec::new(),
    };
    tx.commit().await?;
    if let Some(name) = names.community() {
        state.community.set(name);
    }
    let is_new = subscriptions.is_empty();
    let cards = offers.iter().map(|offer| {
        let held = subscriptions.iter().any(|stored| holds(stored, &offer.plan.slug));
        card(offer, &names, held, is_new, &query)
    });
    let mut frame = Frame::new(&state, &request, "Plans", Here::Plans);
    frame.signed_in = visitor.0.is_some();
    html(&PlansPage {
        plans: cards.collect(),
        frame,
    })
}

fn card(offer: &Offer, names: &Names, held: bool, is_new: bool, query: &PlansQuery) -> PlanCard {
    let plan = &offer.plan;
    // What is paid once for ever cannot be bought here yet.
    let prices: Vec<&Price> = offer.prices.iter().filter(|price| !price.lifetime).collect();
    let chosen = query.chosen.as_deref() == Some(plan.slug.as_str());
    let wanted = prices
        .iter()
        .position(|price| chosen && query.price.as_deref() == Some(price.id.as_str()));
    let wanted = wanted.unwrap_or_default();
    let shown = prices.get(wanted);
    PlanCard {
        slug: plan.slug.to_string(),
        name: plan.name.clone(),
        amount: shown.and_then(|price| text::amount(price)),
        every: shown.and_then(|price| text::every(price)),
        trial_days: if is_new { plan.trial_days } else { 0 },
        roles: plan
            .roles
            .iter()
            .map(|role| role_text(names, role.guild, role.role))
            .collect(),
        company: plan.kind == PlanKind::Company,
        held,
        chosen,
        choices: prices
            .iter()
            .enumerate()
            .map(|(index, price)| Choice {
                id: price.id.to_string(),
                text: text::price(price).unwrap_or_else(|| "Price shown at checkout".to_owned()),
                checked: index == wanted,
            })
            .collect(),
    }
}

fn role_text(
    names: &Names,
    guild: rolecall_domain::ids::GuildId,
    role: rolecall_domain::ids::RoleId,
) -> String {
    match names.servers.len() {
        0 => "Its roles on Discord".to_owned(),
        1 => format!("The role {}", names.role(guild, role)),
        _ => format!("The role {} on {}", names.role(guild, role), names.server(guild)),
    }
}
