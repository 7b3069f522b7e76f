//! What a subscription is worth right now: one pure function of its facts, its policy and the time.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    reversal::{Consequence, Reversal},
    subscription::{Subscription, SubscriptionStatus},
};

/// What a subscription, a seat or a grant is worth at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Standing {
    /// Nothing has been paid yet.
    Pending,
    /// In a trial: access.
    Trial,
    /// Paid for: access.
    Active,
    /// A payment failed: access and the Debtor role, until `until`.
    Grace {
        /// When access ends if nobody pays.
        until: DateTime<Utc>,
    },
    /// Grace is over: the Debtor role alone, until paid or ended.
    Debtor,
    /// Paused by choice: no access unless the plan says otherwise.
    Paused,
    /// Over.
    Ended,
}

/// A standing without its date: what policies speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StandingKind {
    /// See [`Standing::Pending`].
    Pending,
    /// See [`Standing::Trial`].
    Trial,
    /// See [`Standing::Active`].
    Active,
    /// See [`Standing::Grace`].
    Grace,
    /// See [`Standing::Debtor`].
    Debtor,
    /// See [`Standing::Paused`].
    Paused,
    /// See [`Standing::Ended`].
    Ended,
}

impl StandingKind {
    /// All of them, in the order of a membership's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Trial,
        Self::Active,
        Self::Grace,
        Self::Debtor,
        Self::Paused,
        Self::Ended,
    ];

    /// The word for it in SQL, JSON, logs and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Trial => "trial",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Debtor => "debtor",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

impl Standing {
    /// The standing without its date.
    pub const fn kind(self) -> StandingKind {
        match self {
            Self::Pending => StandingKind::Pending,
            Self::Trial => StandingKind::Trial,
            Self::Active => StandingKind::Active,
            Self::Grace { .. } => StandingKind::Grace,
            Self::Debtor => StandingKind::Debtor,
            Self::Paused => StandingKind::Paused,
            Self::Ended => StandingKind::Ended,
        }
    }

    /// The word for it in SQL, JSON, logs and on pages.
    pub const fn name(self) -> &'static str {
        self.kind().name()
    }

    /// When access ends if nobody pays; `None` outside grace.
    pub const fn grace_until(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Grace { until } => Some(until),
            _ => None,
        }
    }

    /// Puts a standing together from its stored parts; `None` if they make no sense.
    pub fn from_parts(name: &str, grace_until: Option<DateTime<Utc>>) -> Option<Self> {
        match (name, grace_until) {
            ("grace", Some(until)) => Some(Self::Grace { until }),
            ("grace", None) => None,
            (other, _) => other.parse().ok(),
        }
    }

    /// Whether money is owed.
    pub const fn owes(self) -> bool {
        matches!(self, Self::Grace { .. } | Self::Debtor)
    }

    /// The best first: how a person with several standings is summed up in one word.
    const fn rank(self) -> u8 {
        match self {
            Self::Active => 0,
            Self::Trial => 1,
            Self::Grace { .. } => 2,
            Self::Paused => 3,
            Self::Debtor => 4,
            Self::Pending => 5,
            Self::Ended => 6,
        }
    }

    /// The best of several standings; of two graces the one that lasts longer.
    pub fn best(standings: impl IntoIterator<Item = Self>) -> Option<Self> {
        standings
            .into_iter()
            .min_by_key(|standing| (standing.rank(), standing.grace_until().map(std::cmp::Reverse)))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no standing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a standing")]
pub struct UnknownStanding(String);

impl FromStr for Standing {
    type Err = UnknownStanding;

    /// Reads a name; grace has a date and needs [`Standing::from_parts`].
    fn from_str(text: &str) -> Result<Self, UnknownStanding> {
        Ok(match text {
            "pending" => Self::Pending,
            "trial" => Self::Trial,
            "active" => Self::Active,
            "debtor" => Self::Debtor,
            "paused" => Self::Paused,
            "ended" => Self::Ended,
            _ => return Err(UnknownStanding(text.to_owned())),
        })
    }
}

/// The standing of one subscription at `now`, with this much grace after a first failed attempt.
///
/// Total over every status: an unknown one keeps the last standing, so that a word that Stripe adds
/// takes nothing from anybody. Grace runs on our clock from the first failed attempt and never waits
/// for Stripe's `unpaid`, which many accounts never reach.
pub fn standing(subscription: &Subscription, grace: TimeDelta, now: DateTime<Utc>) -> Standing {
    let paid = match &subscription.status {
        SubscriptionStatus::Incomplete => Standing::Pending,
        SubscriptionStatus::IncompleteExpired | SubscriptionStatus::Canceled => Standing::Ended,
        SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => {
            owing(subscription.owed_since, grace, now)
        }
        // Stripe pauses by itself when a payment fails: then money is owed. Otherwise it is a choice.
        SubscriptionStatus::Paused if subscription.owed_since.is_some() => {
            owing(subscription.owed_since, grace, now)
        }
        SubscriptionStatus::Paused => Standing::Paused,
        SubscriptionStatus::Trialing | SubscriptionStatus::Active if subscription.collection_paused => {
            Standing::Paused
        }
        SubscriptionStatus::Trialing => Standing::Trial,
        SubscriptionStatus::Active => Standing::Active,
        SubscriptionStatus::Unknown(_) => subscription.last_standing.unwrap_or(Standing::Pending),
    };
    after_reversal(paid, subscription.reversal, grace, now)
}

/// The standing of a one-time purchase at `now`: `paid` once the money has come.
pub fn purchase_standing(
    paid: bool,
    reversal: Option<Reversal>,
    grace: TimeDelta,
    now: DateTime<Utc>,
) -> Standing {
    let standing = if paid { Standing::Active } else { Standing::Pending };
    after_reversal(standing, reversal, grace, now)
}

/// What is left of a standing after what became of the payment behind it. It never becomes better.
fn after_reversal(
    standing: Standing,
    reversal: Option<Reversal>,
    grace: TimeDelta,
    now: DateTime<Utc>,
) -> Standing {
    let Some(Reversal { consequence, since }) = reversal else {
        return standing;
    };
    match (consequence, standing) {
        // Nothing has been paid, it is over anyway, or there is no access to hold.
        (_, Standing::Pending | Standing::Ended)
        | (Consequence::Nothing, _)
        | (Consequence::Hold, Standing::Debtor | Standing::Paused) => standing,
        (Consequence::End, _) => Standing::Ended,
        (Consequence::Hold, Standing::Grace { until }) => match owing(Some(since), grace, now) {
            Standing::Grace { until: held } => Standing::Grace {
                until: until.min(held),
            },
            over => over,
        },
        (Consequence::Hold, Standing::Trial | Standing::Active) => owing(Some(since), grace, now),
    }
}

fn owing(since: Option<DateTime<Utc>>, grace: TimeDelta, now: DateTime<Utc>) -> Standing {
    let since = since.unwrap_or(now).min(now);
    let until = since
        .checked_add_signed(grace)
        .unwrap_or(DateTime::<Utc>::MAX_UTC);
    if now < until {
        Standing::Grace { until }
    } else {
        Standing::Debtor
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    const GRACE: TimeDelta = TimeDelta::days(7);

    fn subscription(status: &str) -> Subscription {
        Subscription {
            id: "sub_1".parse().unwrap(),
            plan: None,
            status: status.parse().unwrap(),
            collection_paused: false,
            owed_since: None,
            reversal: None,
            last_standing: None,
        }
    }

    #[test]
    fn every_status_has_its_standing() {
        let day = 86_400;
        let grace = Standing::Grace { until: at(7 * day) };
        // status, collection paused, owed for how many seconds, expected
        let table: [(&str, bool, Option<i64>, Standing); 17] = [
            ("incomplete", false, None, Standing::Pending),
            ("incomplete_expired", false, None, Standing::Ended),
            ("trialing", false, None, Standing::Trial),
            ("trialing", true, None, Standing::Paused),
            ("active", false, None, Standing::Active),
            ("active", true, None, Standing::Paused),
            ("past_due", false, Some(0), grace),
            ("past_due", true, Some(0), grace),
            ("past_due", false, Some(7 * day), Standing::Debtor),
            ("unpaid", false, Some(0), grace),
            ("unpaid", false, Some(8 * day), Standing::Debtor),
            ("paused", false, None, Standing::Paused),
            ("paused", false, Some(0), grace),
            ("paused", false, Some(9 * day), Standing::Debtor),
            ("canceled", false, None, Standing::Ended),
            ("canceled", true, Some(0), Standing::Ended),
            ("hibernating", false, None, Standing::Pending),
        ];
        for (status, collection_paused, owed_for, expected) in table {
            let mut facts = subscription(status);
            facts.collection_paused = collection_paused;
            facts.owed_since = owed_for.map(|_| at(0));
            let now = at(owed_for.unwrap_or(0));
            assert_eq!(
                standing(&facts, GRACE, now),
                expected,
                "{status}, owed for {owed_for:?}"
            );
        }
    }

    #[test]
    fn a_reversal_takes_what_its_payment_gave_and_gives_nothing() {
        let day = 86_400;
        let held = |since: i64| Standing::Grace {
            until: at(since) + GRACE,
        };
        // status, owed since, consequence, since when, now, expected
        let table = [
            ("active", None, Consequence::End, 0, 0, Standing::Ended),
            ("trialing", None, Consequence::End, 0, 0, Standing::Ended),
            ("past_due", Some(0), Consequence::End, 0, 0, Standing::Ended),
            ("incomplete", None, Consequence::End, 0, 0, Standing::Pending),
            ("canceled", None, Consequence::Hold, 0, 0, Standing::Ended),
            ("active", None, Consequence::Hold, 0, day, held(0)),
            ("active", None, Consequence::Hold, 0, 7 * day, Standing::Debtor),
            ("past_due", Some(0), Consequence::Hold, day, day, held(0)),
            ("past_due", Some(day), Consequence::Hold, 0, day, held(0)),
            ("paused", None, Consequence::Hold, 0, 0, Standing::Paused),
            ("active", None, Consequence::Nothing, 0, 0, Standing::Active),
        ];
        for (status, owed, consequence, since, now, expected) in table {
            let mut facts = subscription(status);
            facts.owed_since = owed.map(at);
            facts.reversal = Some(Reversal {
                consequence,
                since: at(since),
            });
            let found = standing(&facts, GRACE, at(now));
            assert_eq!(
                found, expected,
                "{status}, {consequence:?} since {since}, at {now}"
            );
        }
    }

    #[test]
    fn a_purchase_stands_from_its_payment_until_it_is_reversed() {
        let reversal = |consequence| {
            Some(Reversal {
                consequence,
                since: at(0),
            })
        };
        let hold = Standing::Grace { until: at(0) + GRACE };
        let table = [
            (false, None, Standing::Pending),
            (true, None, Standing::Active),
            (true, reversal(Consequence::Hold), hold),
            (true, reversal(Consequence::End), Standing::Ended),
        ];
        for (paid, reversal, expected) in table {
            assert_eq!(purchase_standing(paid, reversal, GRACE, at(0)), expected);
        }
    }

    #[test]
    fn an_unknown_status_keeps_the_last_standing() {
        let mut facts = subscription("hibernating");
        facts.last_standing = Some(Standing::Active);
        assert_eq!(standing(&facts, GRACE, at(0)), Standing::Active);
    }

    #[test]
    fn the_best_standing_sums_a_person_up() {
        let short = Standing::Grace { until: at(1) };
        let long = Standing::Grace { until: at(2) };
        assert_eq!(Standing::best([Standing::Ended, short, long]), Some(long));
        assert_eq!(
            Standing::best([Standing::Debtor, Standing::Active]),
            Some(Standing::Active)
        );
        assert_eq!(Standing::best([]), None);
    }

    fn any_subscription() -> impl Strategy<Value = Subscription> {
        let statuses = prop::sample::select(vec![
            "incomplete",
            "incomplete_expired",
            "trialing",
            "active",
            "past_due",
            "unpaid",
            "canceled",
            "paused",
            "something_new",
        ]);
        (
            statuses,
            any::<bool>(),
            prop::option::of(-2_000_000_i64..2_000_000),
            prop::option::of((
                prop::sample::select(vec![Consequence::Nothing, Consequence::Hold, Consequence::End]),
                -2_000_000_i64..0,
            )),
        )
            .prop_map(|(status, collection_paused, owed, reversal)| {
                let mut facts = subscription(status);
                facts.collection_paused = collection_paused;
                facts.owed_since = owed.map(at);
                facts.reversal = reversal.map(|(consequence, since)| Reversal {
                    consequence,
                    since: at(since),
                });
                facts
            })
    }

    proptest! {
        #[test]
        fn time_alone_only_ever_turns_grace_into_debtor(
            facts in any_subscription(), first in 0_i64..3_000_000, later in 0_i64..3_000_000,
        ) {
            prop_assume!(facts.owed_since.is_none_or(|since| since <= at(first)));
            prop_assume!(facts.owed_since.is_some() || !matches!(facts.status.as_str(), "past_due" | "unpaid"));
            let before = standing(&facts, GRACE, at(first));
            let after = standing(&facts, GRACE, at(first + later));
            let aged = matches!((before, after), (Standing::Grace { .. }, Standing::Debtor));
            prop_assert!(before == after || aged, "{before:?} became {after:?}");
        }

        #[test]
        fn a_reversal_never_makes_a_standing_better(facts in any_subscription(), now in 0_i64..3_000_000) {
            let unreversed = Subscription { reversal: None, ..facts.clone() };
            let (with, without) = (standing(&facts, GRACE, at(now)), standing(&unreversed, GRACE, at(now)));
            prop_assert!(with.rank() >= without.rank(), "{without:?} became {with:?}");
        }

        #[test]
        fn grace_never_ends_later_than_the_policy_allows(facts in any_subscription(), now in 0_i64..3_000_000) {
            if let Standing::Grace { until } = standing(&facts, GRACE, at(now)) {
                prop_assert!(until > at(now) && until <= at(now) + GRACE);
            }
        }

        #[test]
        fn a_name_and_a_date_make_the_same_standing_again(facts in any_subscription(), now in 0_i64..3_000_000) {
            let standing = standing(&facts, GRACE, at(now));
            prop_assert_eq!(Standing::from_parts(standing.name(), standing.grace_until()), Some(standing));
        }
    }
}
