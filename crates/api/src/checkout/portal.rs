//! Stripe's billing portal: card, invoices, pausing and cancelling.

use rolecall_db::customers::find_customer_of;
use rolecall_stripe::error::StripeError;
use url::Url;

use crate::{
    checkout::{
        customer::{MOST_LOST, forget_customer},
        refusal::is_about_a_lost_customer,
    },
    error::ApiError,
    session::SignedIn,
    state::State,
};

/// Opens the portal for somebody who has bought something.
pub(crate) async fn open_portal(state: &State, signed_in: SignedIn) -> Result<Url, ApiError> {
    let back = state.site.public_url.join("/dashboard");
    for _ in 0..=MOST_LOST {
        let mut tx = state.database.begin().await?;
        signed_in.require_live(&mut tx, state.now()).await?;
        let customer = find_customer_of(&mut tx, signed_in.member_id)
            .await?
            .ok_or(ApiError::NoBillingAccount)?;
        tx.commit().await?;
        let session = match state.stripe.create_portal_session(&customer, &back).await {
            Err(error) if is_lost(&error) => {
                forget_customer(state, signed_in.member_id, &customer).await?;
                continue;
            }
            session => session.map_err(ApiError::Stripe)?,
        };
        return Url::parse(&session.url)
            .map_err(|error| ApiError::internal("opening the billing portal", error));
    }
    Err(ApiError::NoBillingAccount)
}

/// The customer is all that the request names.
fn is_lost(error: &StripeError) -> bool {
    matches!(error, StripeError::NotFound { .. }) || is_about_a_lost_customer(error)
}
