//! What a person has bought already, as far as it matters for what they buy next.

use rolecall_db::{
    Connection,
    prices::list_prices_held_by,
    purchases::{StoredPurchase, list_purchases_of},
    subscriptions::{StoredSubscription, list_subscriptions_of},
    trials::list_tried_plans,
};
use rolecall_domain::{catalog::PlanSlug, ids::MemberId, standing::Standing};

use crate::error::ApiError;

/// What a person has bought already.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) subscriptions: Vec<StoredSubscription>,
    purchases: Vec<StoredPurchase>,
    tried: Vec<PlanSlug>,
    /// What their living subscriptions are paid in.
    currencies: Vec<String>,
}

impl Held {
    /// Reads it.
    pub(crate) async fn load(conn: &mut Connection, member_id: MemberId) -> Result<Self, ApiError> {
        let subscriptions = list_subscriptions_of(conn, member_id).await?;
        let prices = list_prices_held_by(conn, member_id).await?;
        let lives = |id| {
            let stored = subscriptions.iter().find(|stored| stored.facts.id == id);
            stored.is_some_and(|stored| stored.standing != Standing::Ended)
        };
        let currencies = prices
            .into_iter()
            .filter_map(|(id, price)| price.currency.filter(|_| lives(id)));
        Ok(Self {
            currencies: currencies.collect(),
            purchases: list_purchases_of(conn, member_id).await?,
            tried: list_tried_plans(conn, member_id).await?,
            subscriptions,
        })
    }

    /// Whether the person has the plan. What is not paid yet does not count.
    pub(crate) fn holds(&self, plan: &PlanSlug) -> bool {
        let counts = |standing| !matches!(standing, Standing::Ended | Standing::Pending);
        let subscribed = self
            .subscriptions
            .iter()
            .any(|stored| stored.facts.plan.as_ref() == Some(plan) && counts(stored.standing));
        let bought = self
            .purchases
            .iter()
            .any(|stored| stored.plan.as_ref() == Some(plan) && counts(stored.standing));
        subscribed || bought
    }

    /// Whether the free days of the plan are still theirs to use.
    pub(crate) fn may_try(&self, plan: &PlanSlug) -> bool {
        !self.tried.contains(plan)
    }

    /// Whether Stripe would refuse a subscription in `currency`.
    pub(crate) fn pays_in_another(&self, currency: &str) -> bool {
        self.currencies.iter().any(|held| held != currency)
    }

    /// The subscription that could be changed instead of buying something besides it.
    pub(crate) fn changeable(&self) -> Option<&StoredSubscription> {
        let runs =
            |stored: &&StoredSubscription| matches!(stored.standing, Standing::Active | Standing::Trial);
        self.subscriptions.iter().find(runs)
    }

    /// How much they have bought so far: another purchase is meant when this has grown.
    pub(crate) fn count(&self) -> usize {
        self.subscriptions.len() + self.purchases.len()
    }
}
