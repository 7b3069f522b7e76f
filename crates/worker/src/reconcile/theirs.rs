//! A subscription of Stripe's list in our terms.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    reconcile_views::{list_existing_members, list_owners},
};
use rolecall_domain::{
    grace::{OwedInvoice, owed_since},
    ids::{MemberId, StripeCustomerId, StripeSubscriptionId},
    reconcile::difference::Terms,
    subscription::SubscriptionStatus,
};
use rolecall_stripe::types::subscription::{PauseReason, Subscription};

use crate::{error::WorkError, sync::MEMBER_METADATA};

/// What Stripe says of a subscription.
#[derive(Debug, Clone)]
pub(super) struct Theirs {
    pub(super) id: StripeSubscriptionId,
    pub(super) terms: Terms,
    customer: Option<StripeCustomerId>,
    /// Whom its metadata names.
    named: Option<MemberId>,
}

impl Theirs {
    /// All but whose it is, which takes the database.
    pub(super) fn of(subscription: &Subscription, now: DateTime<Utc>) -> Self {
        let quantity = subscription.items.data.first().and_then(|item| item.quantity);
        let metadata = subscription.metadata.get(MEMBER_METADATA);
        Self {
            id: subscription.id.clone(),
            customer: subscription.customer.clone(),
            named: metadata.and_then(|id| id.parse().ok()),
            terms: Terms {
                status: SubscriptionStatus::from(subscription.status.as_str().to_owned()),
                prices: subscription
                    .items
                    .data
                    .iter()
                    .filter_map(|item| item.price_id())
                    .cloned()
                    .collect(),
                quantity: i64::try_from(quantity.unwrap_or(1)).unwrap_or(i64::MAX),
                collection_paused: subscription.pause_collection.is_some(),
                current_period_end: subscription.current_period_end(),
                cancel_at_period_end: subscription.cancel_at_period_end,
                cancel_at: subscription.cancel_at,
                ended_at: subscription.ended_at,
                trial_end: subscription.trial_end,
                owed_since: debt(subscription, now),
                member_id: None,
            },
        }
    }
}

/// Since when something is owed, as far as the list tells: a read knows better.
fn debt(subscription: &Subscription, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let owes = match subscription.status.as_str() {
        "past_due" | "unpaid" => true,
        "paused" => matches!(
            subscription.pause_reason(),
            Some(PauseReason::FinalPaymentFailure | PauseReason::FirstPaymentFailure)
        ),
        _ => false,
    };
    let invoice = subscription.expanded_invoice().map(|invoice| OwedInvoice {
        first_failed_at: None,
        finalized_at: invoice.status_transitions.finalized_at,
        created_at: invoice.created,
    });
    owes.then(|| owed_since(invoice.as_slice(), None, now))
}

/// Finds whose the subscriptions are by Stripe: of whom the metadata names, or else of their customer's person.
pub(super) async fn find_owners(conn: &mut Connection, page: &mut [Theirs]) -> Result<(), WorkError> {
    let named: Vec<MemberId> = page.iter().filter_map(|theirs| theirs.named).collect();
    let existing: BTreeSet<MemberId> = list_existing_members(conn, &named).await?.into_iter().collect();
    let customers: Vec<&StripeCustomerId> = page
        .iter()
        .filter_map(|theirs| theirs.customer.as_ref())
        .collect();
    let owners: BTreeMap<StripeCustomerId, MemberId> =
        list_owners(conn, &customers).await?.into_iter().collect();
    for theirs in page {
        let of_customer = || owners.get(theirs.customer.as_ref()?).copied();
        theirs.terms.member_id = theirs
            .named
            .filter(|named| existing.contains(named))
            .or_else(of_customer);
    }
    Ok(())
}
