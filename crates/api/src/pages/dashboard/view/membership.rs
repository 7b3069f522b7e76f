//! What a person pays for or was given: plan, price, and what happens next.

use chrono::{DateTime, Utc};
use rolecall_db::{purchases::StoredPurchase, subscriptions::StoredSubscription};
use rolecall_domain::standing::Standing;

use crate::{
    account::Account,
    pages::{
        text::{date, money, price},
        tone::Tone,
    },
};

/// One plan of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) plan: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) price: Option<String>,
    pub(crate) next: String,
    /// The subscription, where its plan can be changed.
    pub(crate) changeable: Option<String>,
}

/// The plans of a person: bought ones, then gifts. What is over stands last.
pub(crate) fn memberships(account: &Account, now: DateTime<Utc>) -> Vec<Membership> {
    let (over, live): (Vec<_>, Vec<_>) = account
        .subscriptions
        .iter()
        .partition(|stored| stored.standing == Standing::Ended);
    let bought = |stored: &StoredSubscription| {
        let (state, tone) = state(stored);
        Membership {
            plan: account.names.plan(stored.facts.plan.as_ref()),
            state,
            tone,
            price: account.prices.get(&stored.facts.id).and_then(price),
            next: next(stored),
            changeable: matches!(stored.standing, Standing::Active | Standing::Trial)
                .then(|| stored.facts.id.to_string()),
        }
    };
    let once = |stored: &StoredPurchase| bought_once(account, stored);
    let gifts = account
        .grants
        .iter()
        .filter(|grant| grant.is_live(now))
        .map(|grant| Membership {
            plan: account.names.plan(Some(&grant.plan)),
            state: "Gift",
            tone: Tone::Good,
            price: None,
            next: grant.ends_at.map_or_else(
                || "Yours for good.".to_owned(),
                |end| format!("Yours until {}.", date(end)),
            ),
            changeable: None,
        });
    let (undone, kept): (Vec<_>, Vec<_>) = account
        .purchases
        .iter()
        .partition(|stored| stored.standing == Standing::Ended);
    live.into_iter()
        .map(bought)
        .chain(kept.into_iter().map(once))
        .chain(gifts)
        .chain(over.into_iter().map(bought))
        .chain(undone.into_iter().map(once))
        .collect()
}

/// What was paid once.
fn bought_once(account: &Account, stored: &StoredPurchase) -> Membership {
    let (state, tone, next) = match stored.standing {
        Standing::Active | Standing::Trial => ("Active", Tone::Good, "Yours for good."),
        Standing::Pending => (
            "Not paid yet",
            Tone::Warn,
            "Waiting for the money from your bank.",
        ),
        Standing::Grace { .. } | Standing::Debtor | Standing::Paused => {
            ("On hold", Tone::Warn, "The payment is being looked into.")
        }
        Standing::Ended => ("Ended", Tone::Plain, "The payment was given back."),
    };
    Membership {
        plan: account.names.plan(stored.plan.as_ref()),
        state,
        tone,
        price: (!stored.currency.is_empty()).then(|| {
            format!(
                "{} on {}",
                money(stored.amount, &stored.currency),
                date(stored.bought_at)
            )
        }),
        next: next.to_owned(),
        changeable: None,
    }
}

fn state(stored: &StoredSubscription) -> (&'static str, Tone) {
    match stored.standing {
        Standing::Active | Standing::Trial if stored.cancel_at_period_end => ("Ending", Tone::Warn),
        Standing::Active => ("Active", Tone::Good),
        Standing::Trial => ("Trial", Tone::Good),
        Standing::Grace { .. } => ("Payment failed", Tone::Warn),
        Standing::Debtor => ("On hold", Tone::Bad),
        Standing::Paused => ("Paused", Tone::Plain),
        Standing::Pending => ("Not paid yet", Tone::Warn),
        Standing::Ended => ("Ended", Tone::Plain),
    }
}

fn next(stored: &StoredSubscription) -> String {
    let end = stored.current_period_end.map(date);
    match (stored.standing, end) {
        (Standing::Active | Standing::Trial, Some(end)) if stored.cancel_at_period_end => {
            format!("Ends on {end}. You keep everything until then.")
        }
        (Standing::Active, Some(end)) => format!("Renews on {end}."),
        (Standing::Active, None) => "Renews by itself.".to_owned(),
        (Standing::Trial, Some(end)) => format!("The first payment is on {end}."),
        (Standing::Trial, None) => "The first payment follows the trial.".to_owned(),
        (Standing::Grace { until }, _) => format!("Access until {}.", date(until)),
        (Standing::Debtor, _) => "Pay the open bill to get back in.".to_owned(),
        (Standing::Paused, _) => "Nothing is charged.".to_owned(),
        (Standing::Pending, _) => "Waiting for the first payment.".to_owned(),
        (Standing::Ended, _) => "Nothing is charged any more.".to_owned(),
    }
}
