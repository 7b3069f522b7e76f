//! A person's standing, and what they owe, in plain words.

use rolecall_domain::standing::Standing;

use crate::{
    account::Account,
    pages::{text::date, tone::Tone},
};

/// The headline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandingText {
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

/// Something that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Debt {
    pub(crate) title: &'static str,
    pub(crate) text: String,
    pub(crate) tone: Tone,
    pub(crate) pay_url: Option<String>,
}

/// The headline of a person.
pub(crate) fn text(account: &Account) -> StandingText {
    let (title, text) = match account.standing {
        None => (
            "You are not a member yet",
            "Choose a plan to come in. Your roles follow by themselves.".to_owned(),
        ),
        Some(Standing::Active) => (
            "You are a member",
            "Everything is paid and every door is open.".to_owned(),
        ),
        Some(Standing::Trial) => (
            "Your trial is running",
            "You have everything a member has. Nothing is charged before it ends.".to_owned(),
        ),
        Some(Standing::Grace { until }) => (
            "A payment failed",
            format!(
                "You still have access until {}. Pay before then and nothing changes.",
                date(until)
            ),
        ),
        Some(Standing::Debtor) => (
            "Your access is on hold",
            "The time to pay has run out. Pay what is open and everything comes back at once.".to_owned(),
        ),
        Some(Standing::Paused) => (
            "Your membership is paused",
            "Resume it under “Manage billing” whenever you like.".to_owned(),
        ),
        Some(Standing::Pending) => (
            "Your first payment is not done",
            "Finish it, or choose a plan again.".to_owned(),
        ),
        Some(Standing::Ended) => (
            "Your membership has ended",
            "You can come back any time.".to_owned(),
        ),
    };
    StandingText { title, text }
}

/// What is owed, plan by plan.
pub(crate) fn debts(account: &Account) -> Vec<Debt> {
    let owing = account
        .subscriptions
        .iter()
        .filter(|stored| stored.standing.owes());
    owing
        .map(|stored| {
            let plan = account.names.plan(stored.facts.plan.as_ref());
            let (title, text, tone) = match stored.standing {
                Standing::Grace { until } => (
                    "Please pay or change your card",
                    format!(
                        "The last payment for {plan} did not go through. You keep access until {}.",
                        date(until)
                    ),
                    Tone::Warn,
                ),
                _ => (
                    "There is a bill open",
                    format!(
                        "Your roles for {plan} are on hold until it is paid. They come back within moments."
                    ),
                    Tone::Bad,
                ),
            };
            Debt {
                title,
                text,
                tone,
                pay_url: stored.owed_invoice_url.clone(),
            }
        })
        .collect()
}
