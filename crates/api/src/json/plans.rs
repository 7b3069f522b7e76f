//! `GET /api/v1/plans`: what is on sale.

use actix_web::{HttpResponse, http::header, web};
use rolecall_domain::{
    catalog::{PlanKind, PlanSlug},
    ids::StripePriceId,
};
use serde::Serialize;

use crate::{checkout::offer::list_offers, error::ApiError, json::List, state::State};

#[derive(Serialize)]
struct Plan {
    slug: PlanSlug,
    name: String,
    kind: PlanKind,
    /// For who has not had the plan before, with prices that are paid again and again.
    trial_days: u32,
    prices: Vec<Price>,
}

#[derive(Serialize)]
struct Price {
    id: StripePriceId,
    unit_amount: Option<i64>,
    currency: Option<String>,
    /// Missing for what is paid once.
    interval: Option<String>,
    interval_count: Option<i32>,
    /// Bought once, for ever.
    lifetime: bool,
}

/// Lists the plans.
pub(crate) async fn get_plans(state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    let offers = list_offers(&mut tx).await?;
    tx.commit().await?;
    let plans = offers.into_iter().map(|offer| Plan {
        slug: offer.plan.slug,
        name: offer.plan.name,
        kind: offer.plan.kind,
        trial_days: offer.plan.trial_days,
        prices: offer
            .prices
            .into_iter()
            .map(|price| Price {
                lifetime: price.is_one_time(),
                id: price.id,
                unit_amount: price.unit_amount,
                currency: price.currency,
                interval: price.interval,
                interval_count: price.interval_count,
            })
            .collect(),
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .json(List::whole(plans)))
}
