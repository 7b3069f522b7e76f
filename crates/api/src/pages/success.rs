//! `/checkout/success`: back from paying. Hints that the purchase is to be looked up, shows how far
//! it has come, and turns to the dashboard when the role is there.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use rolecall_db::checkout_sessions::{Checkout, CheckoutState, find_checkout};
use rolecall_domain::ids::StripeCheckoutSessionId;
use serde::Deserialize;

use crate::{
    account::Account,
    checkout::progress::{Progress, progress},
    error::ApiError,
    hints,
    http::context::Trace,
    pages::{
        claim::{ClaimPage, claim_page},
        frame::{Frame, Here},
        html, see_other,
    },
    session::{SignedIn, extract::Visitor},
    state::State,
};

/// A page without JavaScript loads itself again, less and less often, and stops some day.
const WAITS: [u32; 10] = [2, 2, 3, 3, 5, 5, 10, 15, 30, 60];

/// So many loads hint again; the sweeper does the rest.
const HINTS: usize = 4;

#[derive(Template)]
#[template(path = "pages/success.html")]
struct SuccessPage {
    frame: Frame,
    progress: Progress,
    live: String,
    again: String,
    refresh_after: Option<u32>,
}

#[derive(Template)]
#[template(path = "parts/progress.html")]
struct ProgressPart {
    progress: Progress,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SuccessQuery {
    session_id: Option<String>,
    /// How often the page has loaded itself.
    #[serde(default)]
    load: usize,
}

/// Shows it.
pub(crate) async fn get_success(
    request: HttpRequest,
    query: web::Query<SuccessQuery>,
    visitor: Visitor,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(query.session_id.as_deref())?;
    let checkout = read_checkout(&state, &id).await?.ok_or(ApiError::NotFound)?;
    if checkout.state == CheckoutState::Open && query.load < HINTS {
        hints::fulfill_checkout(&state, &trace, id.clone()).await;
    }
    let Some(signed_in) = visitor
        .0
        .filter(|signed_in| signed_in.member_id == checkout.member_id)
    else {
        return html(&claim_page(&state, &request, &id, ClaimPage::after_paying));
    };
    let progress = read_progress(&state, signed_in, &checkout).await?;
    if progress.finished {
        return Ok(see_other("/dashboard?notice=welcome"));
    }
    let refresh_after = WAITS.get(query.load).copied().filter(|_| !progress.settled);
    html(&SuccessPage {
        frame: Frame::new(&state, &request, progress.title, Here::Elsewhere),
        progress,
        live: format!("/checkout/progress?session_id={id}"),
        again: format!(
            "/checkout/success?session_id={id}&load={}",
            query.load.saturating_add(1)
        ),
        refresh_after,
    })
}

/// `/checkout/progress`: the part of the page that changes.
pub(crate) async fn get_progress(
    query: web::Query<SuccessQuery>,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = session_id(query.session_id.as_deref())?;
    let checkout = read_checkout(&state, &id).await?;
    let mine = checkout.filter(|checkout| checkout.member_id == signed_in.member_id);
    let progress = read_progress(&state, signed_in, &mine.ok_or(ApiError::NotFound)?).await?;
    html(&ProgressPart { progress })
}

/// The session that a query names. What no session is called is not found either.
pub(crate) fn session_id(text: Option<&str>) -> Result<StripeCheckoutSessionId, ApiError> {
    text.and_then(|text| text.parse().ok()).ok_or(ApiError::NotFound)
}

async fn read_checkout(state: &State, id: &StripeCheckoutSessionId) -> Result<Option<Checkout>, ApiError> {
    let mut tx = state.database.begin().await?;
    let checkout = find_checkout(&mut tx, id).await?;
    tx.commit().await?;
    Ok(checkout)
}

async fn read_progress(
    state: &State,
    signed_in: SignedIn,
    checkout: &Checkout,
) -> Result<Progress, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let account = Account::load(&mut tx, signed_in.member_id, now)
        .await?
        .ok_or(ApiError::SessionEnded)?;
    tx.commit().await?;
    Ok(progress(checkout, &account))
}
