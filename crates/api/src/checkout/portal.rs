//! Stripe's billing portal: card, invoices, pausing and cancelling.

use rolecall_db::customers::find_customer_of;
use url::Url;

use crate::{error::ApiError, session::SignedIn, state::State};

/// Opens the portal for somebody who has bought something.
pub(crate) async fn open_portal(state: &State, signed_in: SignedIn) -> Result<Url, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    let customer = find_customer_of(&mut tx, signed_in.member_id)
        .await?
        .ok_or(ApiError::NoBillingAccount)?;
    tx.commit().await?;
    let back = state.site.public_url.join("/dashboard");
    let session = state
        .stripe
        .create_portal_session(&customer, &back)
        .await
        .map_err(ApiError::Stripe)?;
    Url::parse(&session.url).map_err(|error| ApiError::internal("opening the billing portal", error))
}
