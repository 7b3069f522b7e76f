//! Stripe's customer of a person, and what if Stripe has deleted it: that one is never used again.

use rolecall_db::customers::set_customer_gone;
use rolecall_domain::ids::{MemberId, StripeCustomerId};

use crate::{error::ApiError, state::State};

/// So many deleted customers are passed over in one request.
pub(crate) const MOST_LOST: usize = 3;

/// Notes that Stripe has deleted a customer.
pub(crate) async fn forget_customer(
    state: &State,
    member_id: MemberId,
    customer: &StripeCustomerId,
) -> Result<(), ApiError> {
    let mut tx = state.database.begin().await?;
    set_customer_gone(&mut tx, customer, state.now()).await?;
    tx.commit().await?;
    tracing::warn!(
        member.id = %member_id, stripe.customer_id = %customer,
        "Stripe has deleted this customer; the person's next purchase makes a new one"
    );
    Ok(())
}
