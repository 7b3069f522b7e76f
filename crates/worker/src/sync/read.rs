//! One read of a subscription from Stripe, and what it says in our terms.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    invoice_failures::list_invoice_failures,
    subscriptions::{SubscriptionRead, find_owed_since},
};
use rolecall_domain::{
    catalog::Catalog,
    grace::{OwedInvoice, owed_since},
    ids::{MemberId, StripeCustomerId, StripeInvoiceId, StripePriceId, StripeSubscriptionId},
    subscription::SubscriptionStatus,
};
use rolecall_stripe::types::{
    invoice::{Invoice, InvoiceStatus},
    subscription::{PauseReason, Subscription},
};

use crate::{ctx::Ctx, error::WorkError, sync::MEMBER_METADATA};

/// What Stripe answered.
#[derive(Debug)]
pub(super) struct Read {
    subscription: Subscription,
    /// What is still owed on it.
    owed: Vec<Invoice>,
    started_at: DateTime<Utc>,
}

/// Reads a subscription, and its invoices if something may be owed.
pub(super) async fn read(
    ctx: &Ctx,
    id: &StripeSubscriptionId,
    started_at: DateTime<Utc>,
) -> Result<Read, WorkError> {
    let subscription = ctx.stripe.get_subscription(id).await?;
    let owed = if may_owe(&status(&subscription)) {
        owed_invoices(ctx, &subscription).await?
    } else {
        Vec::new()
    };
    Ok(Read {
        subscription,
        owed,
        started_at,
    })
}

fn status(subscription: &Subscription) -> SubscriptionStatus {
    SubscriptionStatus::from(subscription.status.as_str().to_owned())
}

const fn may_owe(status: &SubscriptionStatus) -> bool {
    matches!(
        status,
        SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid | SubscriptionStatus::Paused
    )
}

/// Every invoice of the subscription on which an attempt failed and which is still owed.
async fn owed_invoices(ctx: &Ctx, subscription: &Subscription) -> Result<Vec<Invoice>, WorkError> {
    let mut owed = Vec::new();
    let mut after: Option<StripeInvoiceId> = None;
    loop {
        let page = match ctx.stripe.list_invoices(&subscription.id, after.as_ref()).await {
            Ok(page) => page,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => {
                // A restricted key may read subscriptions only: the newest invoice came with it.
                tracing::warn!(
                    stripe.subscription_id = %subscription.id, %error,
                    "the invoices could not be listed; the newest one alone dates the debt"
                );
                owed.extend(
                    subscription
                        .expanded_invoice()
                        .filter(|invoice| is_owed(invoice))
                        .cloned(),
                );
                return Ok(owed);
            }
        };
        after = page.data.last().map(|invoice| invoice.id.clone());
        owed.extend(page.data.into_iter().filter(is_owed));
        if !page.has_more || after.is_none() {
            return Ok(owed);
        }
    }
}

fn is_owed(invoice: &Invoice) -> bool {
    matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible)
        && (invoice.attempted || invoice.attempt_count > 0)
}

#[cfg(test)]
impl Read {
    /// A read of an active subscription.
    pub(super) fn of(id: &str, quantity: u64) -> Self {
        let subscription = serde_json::json!({
            "id": id, "object": "subscription", "status": "active", "customer": "cus_1",
            "items": { "object": "list", "data": [{ "id": "si_1", "object": "subscription_item", "quantity": quantity }] },
        });
        Self {
            subscription: serde_json::from_value(subscription).unwrap(),
            owed: Vec::new(),
            started_at: DateTime::UNIX_EPOCH,
        }
    }

    /// How many of it were bought.
    pub(super) fn quantity(&self) -> Option<u64> {
        self.subscription.items.data.first()?.quantity
    }
}

impl Read {
    /// Which subscription was read.
    pub(super) const fn id(&self) -> &StripeSubscriptionId {
        &self.subscription.id
    }

    /// The status, if it is one that this version does not know.
    pub(super) fn unknown_status(&self) -> Option<SubscriptionStatus> {
        Some(status(&self.subscription)).filter(|status| matches!(status, SubscriptionStatus::Unknown(_)))
    }

    /// The person whom metadata of ours names.
    pub(super) fn named(&self) -> Option<MemberId> {
        self.subscription.metadata.get(MEMBER_METADATA)?.parse().ok()
    }

    /// Whose subscription it is at Stripe.
    pub(super) fn customer(&self) -> Result<&StripeCustomerId, WorkError> {
        let subscription = &self.subscription;
        subscription
            .customer
            .as_ref()
            .ok_or_else(|| WorkError::Unusable(format!("subscription {} has no customer", subscription.id)))
    }

    /// The row to write: with the plan and the date of the debt looked up.
    pub(super) async fn to_stored(
        &self,
        conn: &mut Connection,
        ctx: &Ctx,
        catalog: &Catalog,
        member_id: Option<MemberId>,
        now: DateTime<Utc>,
    ) -> Result<SubscriptionRead, WorkError> {
        let owed_since = self.owed_since(conn, now).await?;
        let subscription = &self.subscription;
        let prices: Vec<StripePriceId> = subscription
            .items
            .data
            .iter()
            .filter_map(|item| item.price_id())
            .cloned()
            .collect();
        let quantity = subscription
            .items
            .data
            .first()
            .and_then(|item| item.quantity)
            .unwrap_or(1);
        Ok(SubscriptionRead {
            customer: self.customer()?.clone(),
            member_id,
            plan: catalog
                .plans_selling(&prices)
                .first()
                .map(|plan| plan.slug.clone()),
            prices,
            quantity: i64::try_from(quantity).unwrap_or(i64::MAX),
            status: status(subscription),
            collection_paused: subscription.pause_collection.is_some(),
            current_period_end: subscription.current_period_end(),
            cancel_at_period_end: subscription.cancel_at_period_end,
            cancel_at: subscription.cancel_at,
            ended_at: subscription.ended_at,
            trial_end: subscription.trial_end,
            owed_since,
            owed_invoice_url: self
                .owed
                .iter()
                .find_map(|invoice| invoice.hosted_invoice_url.clone()),
            livemode: subscription.livemode.unwrap_or(ctx.livemode),
            read_started_at: self.started_at,
            id: subscription.id.clone(),
        })
    }

    /// Since when money is owed; `None` if none is.
    async fn owed_since(
        &self,
        conn: &mut Connection,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, WorkError> {
        let owes = match status(&self.subscription) {
            SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => true,
            SubscriptionStatus::Paused => {
                !self.owed.is_empty()
                    || matches!(
                        self.subscription.pause_reason(),
                        Some(PauseReason::FinalPaymentFailure | PauseReason::FirstPaymentFailure)
                    )
            }
            _ => false,
        };
        if !owes {
            return Ok(None);
        }
        let ids: Vec<StripeInvoiceId> = self.owed.iter().map(|invoice| invoice.id.clone()).collect();
        let failures = list_invoice_failures(conn, &ids).await?;
        let dated: Vec<OwedInvoice> = self
            .owed
            .iter()
            .map(|invoice| OwedInvoice {
                first_failed_at: failures
                    .iter()
                    .find(|(id, _)| *id == invoice.id)
                    .map(|(_, at)| *at),
                finalized_at: invoice.status_transitions.finalized_at,
                created_at: invoice.created,
            })
            .collect();
        let stored = find_owed_since(conn, &self.subscription.id).await?;
        Ok(Some(owed_since(&dated, stored, now)))
    }
}
