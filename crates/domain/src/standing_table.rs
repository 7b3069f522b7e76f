//! Every state that money can be in, and the standing that follows: the table that is tested, and the page
//! that an owner reads.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    policy::Rule,
    reversal::{Consequence, Reversal},
    standing::{Standing, StandingKind, standing},
    subscription::{Subscription, SubscriptionStatus},
};

/// The grace that the table is worked out with.
const GRACE: TimeDelta = TimeDelta::days(7);

/// What happened besides the status, as columns of the table.
pub const CIRCUMSTANCES: [Circumstance; 6] = [
    Circumstance::Nothing,
    Circumstance::CollectionPaused,
    Circumstance::OwedWithinGrace,
    Circumstance::OwedAfterGrace,
    Circumstance::Disputed,
    Circumstance::GivenBack,
];

/// Stripe's statuses, as rows of the table, and one that this version does not know.
pub const STATUSES: [&str; 9] = [
    "incomplete",
    "incomplete_expired",
    "trialing",
    "active",
    "past_due",
    "unpaid",
    "paused",
    "canceled",
    "a_new_status",
];

/// What happened besides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circumstance {
    /// Nothing.
    Nothing,
    /// `pause_collection` is set.
    CollectionPaused,
    /// A payment failed less than the grace period ago and is still owed.
    OwedWithinGrace,
    /// A payment failed longer ago than the grace period and is still owed.
    OwedAfterGrace,
    /// The payment for the period was disputed just now, under the built-in policy.
    Disputed,
    /// The payment for the period was given back, or the dispute about it was lost.
    GivenBack,
}

impl Circumstance {
    /// In words, for the head of a column.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing else",
            Self::CollectionPaused => "collection paused",
            Self::OwedWithinGrace => "owed, within grace",
            Self::OwedAfterGrace => "owed, grace over",
            Self::Disputed => "payment disputed",
            Self::GivenBack => "payment given back",
        }
    }
}

/// The standing in one cell of the table, for somebody who was active before.
///
/// # Panics
///
/// Never: the id that it makes up is one.
#[expect(clippy::expect_used, reason = "a constant that is an id")]
pub fn cell(status: &str, circumstance: Circumstance) -> Standing {
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    let owes = matches!(status, "past_due" | "unpaid");
    let owed_since = match circumstance {
        Circumstance::OwedAfterGrace => Some(now - GRACE),
        Circumstance::OwedWithinGrace => Some(now),
        _ => owes.then_some(now),
    };
    let reversal = match circumstance {
        Circumstance::Disputed => Some(Consequence::Hold),
        Circumstance::GivenBack => Some(Consequence::End),
        _ => None,
    };
    let subscription = Subscription {
        id: "sub_1".parse().expect("an id"),
        plan: None,
        status: SubscriptionStatus::from(status.to_owned()),
        collection_paused: circumstance == Circumstance::CollectionPaused,
        owed_since,
        reversal: reversal.map(|consequence| Reversal {
            consequence,
            since: now,
        }),
        last_standing: Some(Standing::Active),
    };
    standing(&subscription, GRACE, now)
}

/// The page for owners, in Markdown.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    row(
        &mut page,
        "Stripe says",
        &CIRCUMSTANCES.map(|circumstance| circumstance.words().to_owned()),
    );
    row(&mut page, "---", &CIRCUMSTANCES.map(|_| "---".to_owned()));
    for status in STATUSES {
        let name = if status == "a_new_status" {
            "a word that this version does not know".to_owned()
        } else {
            format!("`{status}`")
        };
        row(
            &mut page,
            &name,
            &CIRCUMSTANCES.map(|circumstance| cell(status, circumstance).name().to_owned()),
        );
    }
    page.push_str(STANDINGS);
    for kind in StandingKind::ALL {
        let rule = Rule::builtin(kind);
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let cells = [yes(rule.access), yes(rule.debtor), meaning(kind).to_owned()];
        row(&mut page, kind.name(), &cells);
    }
    page.push_str(TAIL);
    page
}

fn row<const N: usize>(page: &mut String, first: &str, cells: &[String; N]) {
    // Writing to a text cannot fail.
    let _ = writeln!(page, "| {first} | {} |", cells.join(" | "));
}

const fn meaning(kind: StandingKind) -> &'static str {
    match kind {
        StandingKind::Pending => "nothing has been paid yet",
        StandingKind::Trial => "trying it out",
        StandingKind::Active => "paid for",
        StandingKind::Grace => "a payment failed: access stays for a while, and messages ask to pay",
        StandingKind::Debtor => "the grace period is over: one payment brings everything back",
        StandingKind::Paused => "paused by choice; `paused_keeps_access` in the plan keeps access",
        StandingKind::Ended => {
            "over; the plan's `end` says whether an alumni role follows, or a removal from the server"
        }
    }
}

const HEAD: &str = "# What a member has, and when\n\n\
This page is made from the function that decides (`cargo xtask prepare` renews it), so it says what really\n\
happens. Grace counts from Stripe's time of the first failed attempt, on Rolecall's own clock: 7 days unless the plan\n\
or `GRACE_PERIOD` says otherwise. It never waits for Stripe to give up.\n\n\
## From Stripe to a standing\n\n\
What somebody who was active is worth in each state of their subscription:\n\n";

const STANDINGS: &str = "\n## From a standing to roles\n\n\
The built-in rules. The owner's policy may change each of them, for all plans or for one.\n\n\
| standing | the plan's roles | Debtor role | meaning |\n| --- | --- | --- | --- |\n";

const TAIL: &str = "\nSeveral subscriptions, purchases and grants add up: whatever one of them gives, the person has, and the end of\n\
one takes only what nothing else gives.\n\n\
Where a plan says `end = \"kick\"`, the end of the last of what somebody holds in its server removes them from it,\n\
once: who comes back without paying is left in peace. Nobody is removed who has a role from Rolecall there, who\n\
stands above the bot or has permissions of staff, or whose membership had ended before the owner chose this. The\n\
bot needs Kick Members for it, and says so on `/ready`.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_what_was_decided() {
        let (active, grace, debtor, ended) = ("active", "grace", "debtor", "ended");
        let table = [
            ("incomplete", ["pending"; 6]),
            ("incomplete_expired", [ended; 6]),
            ("trialing", ["trial", "paused", "trial", "trial", grace, ended]),
            ("active", [active, "paused", active, active, grace, ended]),
            ("past_due", [grace, grace, grace, debtor, grace, ended]),
            ("unpaid", [grace, grace, grace, debtor, grace, ended]),
            ("paused", ["paused", "paused", grace, debtor, "paused", ended]),
            ("canceled", [ended; 6]),
            ("a_new_status", [active, active, active, active, grace, ended]),
        ];
        assert_eq!(table.map(|(status, _)| status), STATUSES);
        for (status, expected) in table {
            let found = CIRCUMSTANCES.map(|circumstance| cell(status, circumstance).name());
            assert_eq!(found, expected, "{status}");
        }
    }

    #[test]
    fn the_page_has_a_row_for_every_status_and_every_standing() {
        let page = page();
        for status in STATUSES.into_iter().filter(|status| *status != "a_new_status") {
            assert!(page.contains(&format!("| `{status}` |")), "{status}");
        }
        for kind in StandingKind::ALL {
            assert!(
                page.contains(&format!("\n| {} | ", kind.name())),
                "{}",
                kind.name()
            );
        }
    }
}
