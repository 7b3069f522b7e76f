//! `POST /api/v1/checkout`, `POST /api/v1/billing/portal`, and changing a plan:
//! `POST /api/v1/billing/change/preview` and `POST /api/v1/billing/change`.

use actix_web::{HttpResponse, web};
use rolecall_domain::ids::StripeCheckoutSessionId;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    checkout::{
        change::{Wish, make_change, preview_change},
        portal::open_portal,
        start::{Order, start},
    },
    error::ApiError,
    http::context::Trace,
    json::uncached,
    session::SignedIn,
    state::State,
};

#[derive(Debug, Deserialize)]
pub(crate) struct CheckoutBody {
    plan: String,
    price: Option<String>,
    quantity: Option<i64>,
    /// They know that they have the plan already. Earlier versions called it `confirm`.
    #[serde(default, alias = "confirm")]
    again: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ChangeBody {
    subscription_id: String,
    plan: String,
    price: Option<String>,
    quantity: Option<i64>,
    /// The change is made only if it comes to this sum, in the smallest unit of the currency.
    amount_due: Option<i64>,
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
    trace: Trace,
    body: web::Json<CheckoutBody>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let order = Order {
        plan: &body.plan,
        price: body.price.as_deref(),
        quantity: body.quantity.unwrap_or(1),
        again: body.again,
    };
    let started = start(&state, &trace, signed_in, order).await?;
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

impl ChangeBody {
    fn wish(&self) -> Wish<'_> {
        Wish {
            subscription: &self.subscription_id,
            plan: &self.plan,
            price: self.price.as_deref(),
            quantity: self.quantity,
        }
    }
}

/// Says what a change would cost.
pub(crate) async fn post_change_preview(
    signed_in: SignedIn,
    body: web::Json<ChangeBody>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (_, quote) = preview_change(&state, signed_in, body.wish()).await?;
    Ok(uncached(&quote))
}

/// Makes a change, and says what it cost.
pub(crate) async fn post_change(
    signed_in: SignedIn,
    trace: Trace,
    body: web::Json<ChangeBody>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let quote = make_change(&state, &trace, signed_in, body.wish(), body.amount_due).await?;
    Ok(uncached(&quote))
}
