//! What a subscription can do next, and what its state deserves: told from the simulated Stripe alone.

use std::collections::BTreeSet;

use rolecall_sandbox::{
    discord::demo,
    rng::Rng,
    stripe::{
        Refusal,
        story::{Action, pay::Means, purchase::NewSubscription},
        world::{
            World,
            invoice::InvoiceStatus,
            subscription::{PauseReason, Status, Subscription},
        },
    },
};

use crate::chaos::plan::pick;

const PRICE: &str = "price_council_monthly";

/// A step in the life of somebody's money.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// Something happens to the subscription that there is.
    Act(String, Action),
    /// A new one, after the last has ended.
    Again(String),
}

/// Lets somebody's money go on for some steps at one moment; what it did, in words.
///
/// Nobody can read what a subscription was in between. But of two subscriptions the end of the first may be read
/// before the second is heard of, and so `meanwhile` is told what was deserved then.
pub fn live_on(
    world: &mut World,
    email: &str,
    dice: u64,
    steps: u8,
    mut meanwhile: impl FnMut(&BTreeSet<u64>),
) -> Result<Vec<String>, Refusal> {
    let mut rng = Rng::new(dice);
    let mut told = Vec::new();
    for _ in 0..steps {
        let ways = ways(world, email)?;
        let Some(way) = ways.get(pick(&mut rng, ways.len())) else {
            break;
        };
        told.push(format!("{way:?}"));
        match way {
            Way::Act(subscription, action) => world.act(subscription, action)?,
            Way::Again(customer) => {
                meanwhile(&deserves(world, email));
                let new = NewSubscription {
                    customer: customer.clone(),
                    items: vec![(PRICE.to_owned(), 1)],
                    ..NewSubscription::default()
                };
                world.create_subscription(new, Means::FirstTime)?;
            }
        }
    }
    Ok(told)
}

/// What can happen next. Nothing before the first purchase, which is made on the pages.
fn ways(world: &World, email: &str) -> Result<Vec<Way>, Refusal> {
    let theirs = subscriptions(world, email);
    let Some(newest) = theirs.last() else {
        return Ok(Vec::new());
    };
    if theirs.iter().all(|subscription| subscription.over()) {
        return Ok(vec![Way::Again(newest.customer.clone())]);
    }
    let Some(living) = theirs.iter().rev().find(|subscription| !subscription.over()) else {
        return Ok(Vec::new());
    };
    let owes = world.open_invoice(&living.id)?.is_some();
    let quantity = living.items.first().map_or(1, |item| item.quantity);
    let grown = Action::SetQuantity {
        quantity: quantity % 5 + 1,
    };
    let actions = match (living.status, &living.pause_collection) {
        (Status::Active | Status::Trialing, Some(_)) => vec![Action::ResumeCollection, Action::Cancel],
        (Status::Active | Status::Trialing, None) if !owes => vec![
            Action::FailPayment,
            Action::FailPayment,
            Action::RequireAction,
            Action::Renew,
            grown,
            Action::Pause,
            Action::PauseCollection,
            Action::CancelAtPeriodEnd,
            Action::KeepAfterPeriodEnd,
            Action::Cancel,
        ],
        (Status::PastDue, _) => vec![
            Action::PayOpenInvoice,
            Action::PayOpenInvoice,
            Action::PayOpenInvoice,
            Action::FailPayment,
            Action::MarkUnpaid,
            Action::PauseOnFailure,
            Action::Cancel,
        ],
        (Status::Unpaid, _) => vec![Action::PayOpenInvoice, Action::Cancel],
        (Status::Paused, _) => vec![Action::Resume, Action::Resume, Action::Cancel],
        _ => vec![Action::Cancel],
    };
    let act = |action| Way::Act(living.id.clone(), action);
    Ok(actions.into_iter().map(act).collect())
}

/// Everything that somebody ever subscribed to, the oldest first.
pub fn subscriptions<'a>(world: &'a World, email: &str) -> Vec<&'a Subscription> {
    let is_theirs = |id: &str| {
        let customer = world.customers.get(id);
        customer.is_some_and(|customer| customer.email.as_deref() == Some(email))
    };
    let all = world.subscriptions.rows().iter();
    all.filter(|subscription| is_theirs(&subscription.customer))
        .collect()
}

/// How many of somebody's invoices were not paid at the first attempt.
pub fn debts(world: &World, email: &str) -> usize {
    let theirs: BTreeSet<&str> = subscriptions(world, email)
        .into_iter()
        .map(|subscription| subscription.id.as_str())
        .collect();
    let of_theirs = |id: &Option<String>| id.as_deref().is_some_and(|id| theirs.contains(id));
    let invoices = world
        .invoices
        .rows()
        .iter()
        .filter(|invoice| of_theirs(&invoice.subscription));
    let failed = invoices.filter(|invoice| match invoice.status {
        InvoiceStatus::Paid => invoice.attempt_count > 1,
        _ => invoice.attempt_count > 0,
    });
    failed.count()
}

/// The roles of ours that somebody deserves. Grace lasts for days, and a day here for minutes, so whoever owes has
/// access still.
pub fn deserves(world: &World, email: &str) -> BTreeSet<u64> {
    let theirs = subscriptions(world, email);
    let roles = theirs.into_iter().flat_map(|subscription| -> &[u64] {
        match (subscription.status, &subscription.paused) {
            (Status::Active | Status::Trialing, _) if subscription.pause_collection.is_none() => {
                &[demo::COUNCIL_ROLE]
            }
            (Status::PastDue | Status::Unpaid, _) => &[demo::COUNCIL_ROLE, demo::DEBTOR_ROLE],
            (Status::Paused, Some(paused)) if paused.reason == PauseReason::FinalPaymentFailure => {
                &[demo::COUNCIL_ROLE, demo::DEBTOR_ROLE]
            }
            _ => &[],
        }
    });
    roles.copied().collect()
}
