//! Subscriptions.

use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use rolecall_domain::ids::{StripeCustomerId, StripeSubscriptionId};
use stripe_billing::subscription::{ListSubscription, ListSubscriptionStatus, RetrieveSubscription};
use stripe_types::RangeQueryTs;

use crate::{
    client::{Client, PAGE_SIZE, call::Call},
    error::StripeError,
    types::{
        page::Page,
        subscription::{Subscription, SubscriptionItem},
    },
};

/// Which subscriptions to list; all of the account by default, whatever their status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubscriptionFilter {
    /// Only those of this customer.
    pub customer: Option<StripeCustomerId>,
    /// Only those made at this time or later.
    pub created_since: Option<DateTime<Utc>>,
}

impl Client {
    /// A subscription with all its items and its latest invoice.
    pub async fn get_subscription(&self, id: &StripeSubscriptionId) -> Result<Subscription, StripeError> {
        let request = RetrieveSubscription::new(id.as_str()).expand(vec!["latest_invoice".to_owned()]);
        let call = Call::read(
            "GET /v1/subscriptions/{id}",
            format!("subscription {id}"),
            &request,
        );
        let mut subscription: Subscription = self.transport.send(&call).await?;
        self.complete_items(&mut subscription).await?;
        Ok(subscription)
    }

    /// One page of subscriptions of every status, newest first, older than `after`, each with its
    /// latest invoice. Of their items the first page only: see [`Page::has_more`].
    pub async fn list_subscriptions(
        &self,
        filter: &SubscriptionFilter,
        after: Option<&StripeSubscriptionId>,
    ) -> Result<Page<Subscription>, StripeError> {
        let mut request = ListSubscription::new()
            .status(ListSubscriptionStatus::All)
            .expand(vec!["data.latest_invoice".to_owned()])
            .limit(PAGE_SIZE);
        if let Some(customer) = &filter.customer {
            request = request.customer(customer.as_str());
        }
        if let Some(since) = filter.created_since {
            request = request.created(RangeQueryTs::gte(since.timestamp()));
        }
        if let Some(after) = after {
            request = request.starting_after(after.as_str());
        }
        self.transport
            .send(&Call::read(
                "GET /v1/subscriptions",
                "the subscriptions",
                &request,
            ))
            .await
    }

    /// The pages of [`Client::list_subscriptions`] to the last, each asked for when it is wanted.
    pub fn subscription_pages(
        &self,
        filter: SubscriptionFilter,
    ) -> impl Stream<Item = Result<Vec<Subscription>, StripeError>> + Send + use<> {
        let client = self.clone();
        stream::try_unfold(Some(None), move |after: Option<Option<StripeSubscriptionId>>| {
            let (client, filter) = (client.clone(), filter.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                let page = client.list_subscriptions(&filter, after.as_ref()).await?;
                // Without a last object there is nothing to go on from, whatever Stripe says.
                let last = page.data.last().map(|subscription| subscription.id.clone());
                let next = last.filter(|_| page.has_more).map(Some);
                Ok(Some((page.data, next)))
            }
        })
    }

    /// Reads the items that did not fit into the subscription: Stripe puts only the first in.
    async fn complete_items(&self, subscription: &mut Subscription) -> Result<(), StripeError> {
        while subscription.items.has_more {
            let Some(last) = subscription.items.data.last() else {
                break;
            };
            let call = Call::read_path(
                "GET /v1/subscription_items",
                format!("the items of subscription {}", subscription.id),
                "/subscription_items",
                &[
                    ("subscription", subscription.id.as_str()),
                    ("starting_after", last.id.as_str()),
                    ("limit", "100"),
                ],
            );
            let page: Page<SubscriptionItem> = self.transport.send(&call).await?;
            subscription.items.has_more = page.has_more && !page.data.is_empty();
            subscription.items.data.extend(page.data);
        }
        Ok(())
    }
}
