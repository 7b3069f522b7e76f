//! How far a purchase has come: paid, recorded, role given. Decided from what is stored; nothing is
//! asked of Stripe or Discord here.

use rolecall_db::{
    checkout_sessions::{Checkout, CheckoutState},
    member_guilds::{GuildState, MemberGuild},
    member_roles::MemberRole,
};
use rolecall_domain::{catalog::Plan, standing::Standing};

use crate::account::Account;

/// Where one step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    Done,
    Now,
    Later,
    /// It waits for somebody.
    Stuck,
}

impl StepState {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Later => "later",
            Self::Stuck => "stuck",
        }
    }

    /// For who cannot see the mark.
    pub(crate) const fn spoken(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "in progress",
            Self::Later => "not yet",
            Self::Stuck => "waiting",
        }
    }

    pub(crate) const fn is_done(self) -> bool {
        matches!(self, Self::Done)
    }

    pub(crate) const fn is_stuck(self) -> bool {
        matches!(self, Self::Stuck)
    }

    pub(crate) const fn is_now(self) -> bool {
        matches!(self, Self::Now)
    }
}

/// A step of a purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) state: StepState,
    pub(crate) title: &'static str,
    pub(crate) text: String,
}

/// How far a purchase has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) plan: String,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Everything is done: on to the dashboard.
    pub(crate) finished: bool,
    /// Nothing more will happen by itself.
    pub(crate) settled: bool,
}

/// Where the money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payment {
    Expected,
    TakesDays,
    Arrived,
    GivenUp,
}

/// Where the roles of the plan stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roles {
    Given,
    OnTheWay,
    NotOnServer,
    HeldUp,
}

/// The progress of `checkout` for its buyer.
pub(crate) fn progress(checkout: &Checkout, account: &Account) -> Progress {
    let plan = account.names.catalog.plans.get(&checkout.plan);
    let payment = payment_of(checkout, account);
    let is_recorded = payment == Payment::Arrived && is_recorded(checkout, account);
    let roles = plan.map_or(Roles::OnTheWay, |plan| roles_of(plan, &account.guilds));
    let (title, text) = words(payment, is_recorded, roles);
    let ended = matches!(payment, Payment::GivenUp | Payment::TakesDays);
    Progress {
        plan: account.names.plan(Some(&checkout.plan)),
        title,
        text,
        steps: vec![
            paid_step(payment),
            recorded_step(payment == Payment::Arrived, is_recorded),
            role_step(is_recorded, roles),
        ],
        finished: is_recorded && roles == Roles::Given,
        settled: ended || is_recorded && roles != Roles::OnTheWay,
    }
}

/// Where the money stands. What was bought once, and from a bank account, is paid days later.
fn payment_of(checkout: &Checkout, account: &Account) -> Payment {
    match checkout.state {
        CheckoutState::Open => Payment::Expected,
        CheckoutState::Expired => Payment::GivenUp,
        CheckoutState::Complete => match account.purchases.iter().find(|stored| stored.id == checkout.id) {
            Some(purchase) if !purchase.paid => Payment::TakesDays,
            _ => Payment::Arrived,
        },
    }
}

/// Whether what was bought is kept and counts.
fn is_recorded(checkout: &Checkout, account: &Account) -> bool {
    let counts = |standing| {
        matches!(
            standing,
            Standing::Active | Standing::Trial | Standing::Grace { .. }
        )
    };
    let subscribed = account
        .subscriptions
        .iter()
        .any(|stored| checkout.subscription.as_ref() == Some(&stored.facts.id) && counts(stored.standing));
    let bought = account
        .purchases
        .iter()
        .any(|stored| stored.id == checkout.id && counts(stored.standing));
    subscribed || bought
}

fn words(payment: Payment, is_recorded: bool, roles: Roles) -> (&'static str, &'static str) {
    match (payment, is_recorded, roles) {
        (Payment::GivenUp, ..) => (
            "This purchase was not finished",
            "Nothing was charged. You can choose a plan again.",
        ),
        (Payment::TakesDays, ..) => (
            "Thank you",
            "Your bank sends the money, which takes a few days. Everything else then happens by itself: you can \
             close this page.",
        ),
        (_, true, Roles::Given) => ("You are in", "Your roles are on Discord. Welcome."),
        (_, true, Roles::NotOnServer) => (
            "Almost there",
            "Your membership is running. One thing is left to do.",
        ),
        (_, true, Roles::HeldUp) => (
            "Your membership is running",
            "Your role is held up. You do not have to do anything.",
        ),
        (_, true, Roles::OnTheWay) => (
            "Thank you",
            "Your membership is running. Your role comes any moment.",
        ),
        (_, false, _) => ("Thank you", "We are opening the doors. This takes a few seconds."),
    }
}

fn paid_step(payment: Payment) -> Step {
    let (state, text) = match payment {
        Payment::Arrived => (StepState::Done, "Stripe has confirmed it."),
        Payment::Expected => (StepState::Now, "Waiting for Stripe’s confirmation."),
        Payment::TakesDays => (StepState::Now, "On its way from your bank."),
        Payment::GivenUp => (
            StepState::Stuck,
            "The payment page was closed or ran out of time.",
        ),
    };
    Step {
        state,
        title: "Payment",
        text: text.to_owned(),
    }
}

fn recorded_step(is_paid: bool, is_recorded: bool) -> Step {
    let (state, text) = match (is_paid, is_recorded) {
        (_, true) => (StepState::Done, "Your plan is active."),
        (true, false) => (StepState::Now, "Activating your plan."),
        (false, false) => (StepState::Later, "Follows the payment."),
    };
    Step {
        state,
        title: "Membership",
        text: text.to_owned(),
    }
}

fn role_step(is_recorded: bool, roles: Roles) -> Step {
    let (state, text) = match (is_recorded, roles) {
        (false, _) => (StepState::Later, "Given as soon as your plan is active."),
        (true, Roles::Given) => (StepState::Done, "You have it."),
        (true, Roles::OnTheWay) => (StepState::Now, "Asking Discord."),
        (true, Roles::NotOnServer) => (
            StepState::Stuck,
            "You are not on the server. Use “Fix my roles” on your membership page and we add you.",
        ),
        (true, Roles::HeldUp) => (
            StepState::Stuck,
            "The server does not let us give it yet. Its owners have been told; it comes by itself.",
        ),
    };
    Step {
        state,
        title: "Role on Discord",
        text: text.to_owned(),
    }
}

/// The plan's roles, over all its servers: given only if every one is there.
fn roles_of(plan: &Plan, guilds: &[(MemberGuild, Vec<MemberRole>)]) -> Roles {
    let mut worst = Roles::Given;
    for wanted in &plan.roles {
        let found = guilds.iter().find(|(guild, _)| guild.guild_id == wanted.guild);
        let has = found.is_some_and(|(_, roles)| {
            roles
                .iter()
                .any(|role| role.role_id == wanted.role && role.desired && role.observed == Some(true))
        });
        let state = match found.map(|(guild, _)| guild.state) {
            _ if has => continue,
            Some(GuildState::WaitingForMember) => Roles::NotOnServer,
            Some(GuildState::Blocked | GuildState::Held) => Roles::HeldUp,
            Some(GuildState::InSync | GuildState::Due) | None => Roles::OnTheWay,
        };
        // What still moves is worth waiting for, whatever the others wait for.
        if worst != Roles::OnTheWay {
            worst = state;
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payment: Payment, is_recorded: bool, roles: Roles, title: &str, states: [StepState; 3]) {
        let steps = [
            paid_step(payment),
            recorded_step(payment == Payment::Arrived, is_recorded),
            role_step(is_recorded, roles),
        ];
        assert_eq!(
            steps.map(|step| step.state),
            states,
            "{payment:?} {is_recorded} {roles:?}"
        );
        assert_eq!(words(payment, is_recorded, roles).0, title);
    }

    #[test]
    fn a_purchase_goes_step_by_step() {
        use Payment::{Arrived, Expected, GivenUp, TakesDays};
        use StepState::{Done, Later, Now, Stuck};
        check(
            TakesDays,
            false,
            Roles::OnTheWay,
            "Thank you",
            [Now, Later, Later],
        );
        check(Expected, false, Roles::OnTheWay, "Thank you", [Now, Later, Later]);
        check(Arrived, false, Roles::OnTheWay, "Thank you", [Done, Now, Later]);
        check(Arrived, true, Roles::OnTheWay, "Thank you", [Done, Done, Now]);
        check(Arrived, true, Roles::Given, "You are in", [Done, Done, Done]);
        check(
            Arrived,
            true,
            Roles::NotOnServer,
            "Almost there",
            [Done, Done, Stuck],
        );
        check(
            Arrived,
            true,
            Roles::HeldUp,
            "Your membership is running",
            [Done, Done, Stuck],
        );
        check(
            GivenUp,
            false,
            Roles::OnTheWay,
            "This purchase was not finished",
            [Stuck, Later, Later],
        );
    }
}
