//! `GET /api/v1/plans`: what is on sale.

use actix_web::{HttpResponse, http::header, web};
use rolecall_domain::{
    catalog::{PlanKind, PlanSlug},
    ids::StripePriceId,
};
use serde::Serialize;

use crate::{error::ApiError, json::List, state::State};

#[derive(Serialize)]
struct Plan<'a> {
    slug: &'a PlanSlug,
    name: &'a str,
    kind: PlanKind,
    /// For who has not had the plan before, with prices that are paid again and again.
    trial_days: u32,
    prices: Vec<Price<'a>>,
}

#[derive(Serialize)]
struct Price<'a> {
    id: &'a StripePriceId,
    unit_amount: Option<i64>,
    currency: Option<&'a str>,
    /// Missing for what is paid once.
    interval: Option<&'a str>,
    interval_count: Option<i32>,
    /// Bought once, for ever.
    lifetime: bool,
}

/// Lists the plans.
pub(crate) async fn get_plans(state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let shop = state.shop.look(&state.database).await?;
    let plans = shop.offers.iter().map(|offer| Plan {
        slug: &offer.plan.slug,
        name: &offer.plan.name,
        kind: offer.plan.kind,
        trial_days: offer.plan.trial_days,
        prices: offer
            .prices
            .iter()
            .map(|price| Price {
                lifetime: price.is_one_time(),
                id: &price.id,
                unit_amount: price.unit_amount,
                currency: price.currency.as_deref(),
                interval: price.interval.as_deref(),
                interval_count: price.interval_count,
            })
            .collect(),
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .json(List::whole(plans)))
}
