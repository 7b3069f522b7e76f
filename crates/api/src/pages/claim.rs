//! `/claim`: paid, but not signed in. Signing in leads back to the purchase.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_domain::ids::StripeCheckoutSessionId;
use serde::Deserialize;

use crate::{
    error::ApiError,
    pages::{
        frame::{Frame, Here},
        html, see_other,
        success::session_id,
    },
    session::extract::Visitor,
    sign_in::next::Next,
    state::State,
};

#[derive(Template)]
#[template(path = "pages/claim.html")]
pub(crate) struct ClaimPage {
    frame: Frame,
    title: &'static str,
    text: &'static str,
    next: String,
    next_encoded: String,
}

impl ClaimPage {
    /// Back from Stripe without a session, or with somebody else's.
    pub(crate) fn after_paying() -> (&'static str, &'static str) {
        (
            "Sign in to see your membership",
            "We are working on this purchase. Sign in with the account that bought it.",
        )
    }

    /// By the link for who paid first.
    pub(crate) fn by_link() -> (&'static str, &'static str) {
        (
            "Sign in to get your roles",
            "Your payment waits for its owner. Tell us which Discord account is yours.",
        )
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ClaimQuery {
    session_id: Option<String>,
}

/// Shows it; who is signed in goes on to the purchase.
pub(crate) async fn get_claim(
    request: HttpRequest,
    query: web::Query<ClaimQuery>,
    visitor: Visitor,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(query.session_id.as_deref())?;
    if visitor.0.is_some() {
        return Ok(see_other(&format!("/checkout/success?session_id={id}")));
    }
    html(&claim_page(&state, &request, &id, ClaimPage::by_link))
}

/// The page that leads through sign-in to a purchase.
pub(crate) fn claim_page(
    state: &State,
    request: &HttpRequest,
    id: &StripeCheckoutSessionId,
    words: fn() -> (&'static str, &'static str),
) -> ClaimPage {
    let (title, text) = words();
    let next = Next::parse(Some(&format!("/checkout/success?session_id={id}")));
    let mut frame = Frame::new(state, request, title, Here::Elsewhere);
    // Whoever is signed in is not the one who bought it.
    frame.signed_in = false;
    ClaimPage {
        frame,
        title,
        text,
        next_encoded: next.encoded(),
        next: next.as_str().to_owned(),
    }
}
