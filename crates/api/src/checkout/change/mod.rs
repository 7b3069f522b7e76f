//! Changing a subscription to another plan, price or number: worked out, shown, and then made as it was
//! shown. What follows for access comes by the ordinary way of every change at Stripe.

mod make;
pub(crate) mod quote;
mod target;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    change_previews::{ChangePreview, find_change_preview, upsert_change_preview},
    prices::Price,
    subscriptions::StoredSubscription,
};
use rolecall_domain::{
    catalog::{Plan, PlanSlug},
    ids::StripeSubscriptionId,
};
use rolecall_stripe::{
    client::preview::{Proration, SubscriptionChange},
    error::StripeError,
    types::subscription::{Subscription, SubscriptionItem, SubscriptionStatus},
};

use crate::{
    checkout::{
        change::{quote::Quote, target::Target},
        held::Held,
        offer::{Offer, list_offers},
        refusal::in_words_of_a_buyer,
    },
    error::ApiError,
    session::SignedIn,
    state::State,
};

pub(crate) use make::make_change;
pub(crate) use target::targets;

/// A preview is good for this long.
const PREVIEW_GOOD_FOR: TimeDelta = TimeDelta::minutes(30);

/// What somebody wants instead of what they have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) subscription: &'a str,
    pub(crate) plan: &'a str,
    /// Which of the plan's prices; else the one that is paid as often as the one they have.
    pub(crate) price: Option<&'a str>,
    pub(crate) quantity: Option<i64>,
}

/// A change that can be made.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) subscription: StripeSubscriptionId,
    pub(crate) plan: Plan,
    pub(crate) price: Price,
    pub(crate) quantity: i64,
    /// The plan that they have now.
    pub(crate) held_plan: Option<PlanSlug>,
    /// Stripe Tax adds to what is written here.
    pub(crate) tax: bool,
    item: String,
    proration: Proration,
    /// The period begins anew with the change.
    new_period: bool,
    is_trial: bool,
    period_end: Option<DateTime<Utc>>,
}

impl Planned {
    /// The change as Stripe is told of it.
    fn change(&self, prorated_at: DateTime<Utc>) -> SubscriptionChange {
        SubscriptionChange {
            subscription: self.subscription.clone(),
            item: self.item.clone(),
            price: Some(self.price.id.clone()),
            quantity: u64::try_from(self.quantity).ok(),
            proration: self.proration,
            proration_date: Some(prorated_at),
        }
    }

    /// Whether something is charged or given back now, and not with the next bill.
    fn is_settled_now(&self) -> bool {
        !self.is_trial && (self.new_period || self.proration == Proration::AlwaysInvoice)
    }
}

/// Works out what a change costs, and keeps it for when the change is made. Changes nothing.
pub(crate) async fn preview_change(
    state: &State,
    signed_in: SignedIn,
    wish: Wish<'_>,
) -> Result<(Planned, Quote), ApiError> {
    // Stripe counts whole seconds.
    let now = state.now().trunc_subsecs(0);
    let planned = plan_change(state, signed_in, wish).await?;
    let quote = ask(state, &planned, now).await?;
    let mut tx = state.database.begin().await?;
    let preview = ChangePreview {
        subscription: planned.subscription.clone(),
        price: planned.price.id.clone(),
        quantity: planned.quantity,
        prorated_at: now,
        total: quote.total,
        currency: quote.currency.clone(),
        previewed_at: now,
    };
    upsert_change_preview(&mut tx, &preview).await?;
    tx.commit().await?;
    Ok((planned, quote))
}

/// The preview that was shown of this change, if it is still good.
async fn shown(
    conn: &mut Connection,
    planned: &Planned,
    now: DateTime<Utc>,
) -> Result<Option<ChangePreview>, ApiError> {
    let preview = find_change_preview(conn, &planned.subscription).await?;
    Ok(preview.filter(|preview| {
        preview.price == planned.price.id
            && preview.quantity == planned.quantity
            && now - preview.previewed_at <= PREVIEW_GOOD_FOR
    }))
}

async fn ask(state: &State, planned: &Planned, prorated_at: DateTime<Utc>) -> Result<Quote, ApiError> {
    let preview = state
        .stripe
        .create_preview(&planned.change(prorated_at))
        .await
        .map_err(in_words_of_a_buyer)?;
    Ok(Quote::new(planned, preview, prorated_at))
}

/// Finds out whether and how a wish can be fulfilled.
async fn plan_change(state: &State, signed_in: SignedIn, wish: Wish<'_>) -> Result<Planned, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    let held = Held::load(&mut tx, signed_in.member_id).await?;
    // Somebody else's is not told apart from none.
    let stored = find_held(&held, wish.subscription).ok_or(ApiError::NotFound)?;
    let offers = list_offers(&mut tx).await?;
    let target = Target::choose(&mut tx, signed_in.member_id, stored, &offers, wish).await?;
    tx.commit().await?;

    let read = match state.stripe.get_subscription(&stored.facts.id).await {
        Err(StripeError::NotFound { .. }) => return Err(ApiError::SubscriptionEnded),
        read => read.map_err(ApiError::Stripe)?,
    };
    if matches!(
        read.status,
        SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired
    ) {
        return Err(ApiError::SubscriptionEnded);
    }
    let item = item_of(&read, &target)?;
    let is_same = item.price_id() == Some(&target.price.id);
    if is_same && item.quantity.and_then(|quantity| i64::try_from(quantity).ok()) == Some(target.quantity) {
        return Err(ApiError::NothingToChange);
    }
    Ok(planned(&read, item, &target, stored))
}

fn find_held<'a>(held: &'a Held, subscription: &str) -> Option<&'a StoredSubscription> {
    held.subscriptions
        .iter()
        .find(|stored| stored.facts.id.as_str() == subscription)
}

fn planned(
    read: &Subscription,
    item: &SubscriptionItem,
    target: &Target<'_>,
    stored: &StoredSubscription,
) -> Planned {
    let interval = |price: &rolecall_stripe::types::price::Price| {
        let recurring = price.recurring.as_ref()?;
        Some((recurring.interval.as_str().to_owned(), recurring.interval_count))
    };
    let now_paid = item.price().and_then(interval);
    let then_paid = target.price.interval.clone().map(|interval| {
        let count = target.price.interval_count.unwrap_or(1);
        (interval, u64::try_from(count).unwrap_or(1))
    });
    let Offer {
        plan, tax, proration, ..
    } = target.offer.clone();
    Planned {
        subscription: read.id.clone(),
        plan,
        price: target.price.clone(),
        quantity: target.quantity,
        held_plan: stored.facts.plan.clone(),
        tax,
        item: item.id.clone(),
        proration,
        new_period: now_paid.is_some() && now_paid != then_paid,
        is_trial: read.status == SubscriptionStatus::Trialing,
        period_end: read.current_period_end(),
    }
}

/// The item that sells the plan that is held. What else stands on the subscription is left alone.
fn item_of<'a>(read: &'a Subscription, target: &Target<'_>) -> Result<&'a SubscriptionItem, ApiError> {
    let items = read.items.data.as_slice();
    let sells = |item: &&SubscriptionItem| {
        item.price_id()
            .is_some_and(|price| target.held_prices.contains(price))
    };
    items
        .iter()
        .find(sells)
        .or_else(|| items.first().filter(|_| items.len() == 1))
        .ok_or(ApiError::PlanNotChangeable {
            reason: "the subscription was put together at Stripe, and can only be changed there",
        })
}
