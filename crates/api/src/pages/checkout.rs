//! The forms that lead to Stripe's pages: `POST /checkout`, `POST /billing/portal`.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::catalog::load_catalog;
use serde::Deserialize;
use url::form_urlencoded;

use crate::{
    checkout::{
        held::Held,
        portal::open_portal,
        start::{Order, start},
    },
    error::ApiError,
    http::context::Trace,
    pages::{
        frame::{Frame, Here},
        html, leave, see_other,
    },
    session::{SignedIn, extract::Visitor},
    sign_in::next::Next,
    state::State,
};

#[derive(Debug, Deserialize)]
pub(crate) struct CheckoutForm {
    plan: String,
    #[serde(default)]
    price: String,
    #[serde(default)]
    again: String,
}

#[derive(Template)]
#[template(path = "pages/already.html")]
struct AlreadyPage<'a> {
    frame: Frame,
    plan: String,
    slug: &'a str,
    price: &'a str,
    /// The subscription that could be changed instead.
    changeable: Option<String>,
}

/// Leads to Checkout; through sign-in for who is not signed in yet.
pub(crate) async fn post_checkout(
    request: HttpRequest,
    visitor: Visitor,
    trace: Trace,
    form: web::Form<CheckoutForm>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let Some(signed_in) = visitor.0 else {
        return Ok(see_other(&chosen(&form).login_path()));
    };
    let order = Order {
        plan: &form.plan,
        price: Some(form.price.as_str()).filter(|price| !price.is_empty()),
        quantity: 1,
        again: form.again == "yes",
    };
    match start(&state, &trace, signed_in, order).await {
        Ok(started) => leave(&state, &request, &started.url, "the payment page"),
        Err(ApiError::SessionEnded) => Ok(see_other(&chosen(&form).login_path())),
        Err(ApiError::AlreadySubscribed) => already(&request, &state, signed_in, &form).await,
        Err(error) => Err(error),
    }
}

/// The plans page with the choice that was made, for after signing in.
fn chosen(form: &CheckoutForm) -> Next {
    let mut query = form_urlencoded::Serializer::new("/plans?".to_owned());
    query
        .append_pair("chosen", &form.plan)
        .append_pair("price", &form.price);
    Next::parse(Some(&query.finish().replace("/plans?&", "/plans?")))
}

async fn already(
    request: &HttpRequest,
    state: &State,
    signed_in: SignedIn,
    form: &CheckoutForm,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    let catalog = load_catalog(&mut tx).await?;
    let held = Held::load(&mut tx, signed_in.member_id).await?;
    tx.commit().await?;
    let plan = catalog
        .plans
        .values()
        .find(|plan| plan.slug.as_str() == form.plan)
        .map(|plan| plan.name.clone());
    html(&AlreadyPage {
        frame: Frame::new(state, request, "You have this plan", Here::Plans),
        plan: plan.unwrap_or_else(|| form.plan.clone()),
        slug: &form.plan,
        price: &form.price,
        changeable: held.changeable().map(|stored| stored.facts.id.to_string()),
    })
}

/// Leads to the billing portal.
pub(crate) async fn post_portal(
    request: HttpRequest,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let url = open_portal(&state, signed_in).await?;
    leave(&state, &request, &url, "Stripe")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_survives_signing_in() {
        let form = CheckoutForm {
            plan: "council".to_owned(),
            price: "price_1".to_owned(),
            again: String::new(),
        };
        assert_eq!(chosen(&form).as_str(), "/plans?chosen=council&price=price_1");
        let odd = CheckoutForm {
            plan: "a&b=//c".to_owned(),
            price: String::new(),
            again: String::new(),
        };
        assert_eq!(chosen(&odd).as_str(), "/plans?chosen=a%26b%3D%2F%2Fc&price=");
    }
}
