//! `POST /api/v1/checkout` and `POST /api/v1/billing/portal`.

use actix_web::{HttpResponse, web};
use rolecall_domain::ids::StripeCheckoutSessionId;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    checkout::{
        portal::open_portal,
        start::{Order, start},
    },
    error::ApiError,
    session::SignedIn,
    state::State,
};

#[derive(Debug, Deserialize)]
pub(crate) struct CheckoutBody {
    plan: String,
    price: Option<String>,
    quantity: Option<u64>,
    #[serde(default)]
    confirm: bool,
}

#[derive(Serialize)]
struct Opened {
    url: Url,
    session_id: StripeCheckoutSessionId,
}

#[derive(Serialize)]
struct Portal {
    url: Url,
}

/// Opens a Checkout Session.
pub(crate) async fn post_checkout(
    signed_in: SignedIn,
    body: web::Json<CheckoutBody>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let order = Order {
        plan: &body.plan,
        price: body.price.as_deref(),
        quantity: body.quantity.unwrap_or(1),
        confirmed: body.confirm,
    };
    let started = start(&state, signed_in, order).await?;
    Ok(HttpResponse::Created().json(Opened {
        url: started.url,
        session_id: started.id,
    }))
}

/// Opens the billing portal.
pub(crate) async fn post_portal(
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let url = open_portal(&state, signed_in).await?;
    Ok(HttpResponse::Ok().json(Portal { url }))
}
