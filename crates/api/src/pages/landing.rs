//! `/`: what this is, and where to go.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use crate::{
    checkout::offer::Offer,
    error::ApiError,
    pages::{
        frame::{Frame, Here},
        html, text,
    },
    state::State,
};

#[derive(Template)]
#[template(path = "pages/landing.html")]
struct LandingPage {
    frame: Frame,
    /// The lowest price, where prices can be compared.
    from: Option<String>,
}

/// Shows it.
pub(crate) async fn get_landing(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let shop = state.shop.look(&state.database).await?;
    if let Some(name) = shop.names.community() {
        state.community.set(name);
    }
    let recurring = || shop.offers.iter().flat_map(Offer::recurring);
    let mut kinds: Vec<_> = recurring()
        .map(|price| (&price.currency, &price.interval, price.interval_count))
        .collect();
    kinds.dedup();
    let lowest = recurring().min_by_key(|price| price.unit_amount.unwrap_or(i64::MAX));
    let from = lowest.filter(|_| kinds.len() == 1).and_then(text::price);
    html(&LandingPage {
        frame: Frame::new(&state, &request, "", Here::Elsewhere),
        from,
    })
}
