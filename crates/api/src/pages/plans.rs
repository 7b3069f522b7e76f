//! `/plans`: what is on sale, one form a plan.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_domain::catalog::PlanKind;
use serde::Deserialize;

use crate::{
    account::Names,
    checkout::{held::Held, offer::Offer},
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
    /// The subscription that could be changed instead of buying one more.
    changeable: Option<String>,
}

#[derive(Debug)]
struct PlanCard {
    slug: String,
    name: String,
    amount: Option<String>,
    every: Option<String>,
    free_days: FreeDays,
    roles: Vec<String>,
    /// What goes with every price of it.
    promise: &'static str,
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

/// The free days of a plan, as this visitor sees them.
#[derive(Debug)]
enum FreeDays {
    None,
    Offered(u32),
    /// They are for others.
    Used,
}

impl FreeDays {
    fn offered(&self) -> Option<u32> {
        match self {
            Self::Offered(days) => Some(*days),
            Self::None | Self::Used => None,
        }
    }

    fn are_used(&self) -> bool {
        matches!(self, Self::Used)
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
    let shop = state.shop.look(&state.database).await?;
    let held = match visitor.0 {
        Some(signed_in) => {
            let mut tx = state.database.begin().await?;
            let held = Held::load(&mut tx, signed_in.member_id).await?;
            tx.commit().await?;
            held
        }
        None => Held::default(),
    };
    if let Some(name) = shop.names.community() {
        state.community.set(name);
    }
    let cards = shop
        .offers
        .iter()
        .map(|offer| card(offer, &shop.names, &held, &query));
    let mut frame = Frame::new(&state, &request, "Plans", Here::Plans);
    frame.signed_in = visitor.0.is_some();
    html(&PlansPage {
        plans: cards.collect(),
        changeable: held.changeable().map(|stored| stored.facts.id.to_string()),
        frame,
    })
}

fn card(offer: &Offer, names: &Names, held: &Held, query: &PlansQuery) -> PlanCard {
    let plan = &offer.plan;
    let prices = offer.prices.as_slice();
    // Of several prices some may come with free days.
    let free_days = match offer.recurring().next().map_or(0, |_| plan.trial_days) {
        0 => FreeDays::None,
        _ if !held.may_try(&plan.slug) => FreeDays::Used,
        days => FreeDays::Offered(days),
    };
    let chosen = query.chosen.as_deref() == Some(plan.slug.as_str());
    let wanted = prices
        .iter()
        .position(|price| chosen && query.price.as_deref() == Some(price.id.as_str()));
    let wanted = wanted.unwrap_or_default();
    let shown = prices.get(wanted);
    PlanCard {
        slug: plan.slug.to_string(),
        name: plan.name.clone(),
        amount: shown.and_then(text::amount),
        every: shown.and_then(text::every),
        free_days,
        roles: plan
            .roles
            .iter()
            .map(|role| role_text(names, role.guild, role.role))
            .collect(),
        promise: promise(offer),
        company: plan.kind == PlanKind::Company,
        held: held.holds(&plan.slug),
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

fn promise(offer: &Offer) -> &'static str {
    if offer.plan.kind == PlanKind::Company {
        "Seats that you hand out and take back"
    } else if offer.recurring().next().is_none() && !offer.prices.is_empty() {
        "Paid once, yours for good"
    } else {
        "Cancel whenever you like"
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
