//! How a subscription as we keep it differs from the same one as Stripe says it is, in plain words.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::Catalog,
    ids::{MemberId, StripePriceId},
    subscription::SubscriptionStatus,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $words:literal;)*) => {
        /// What is wrong with an object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FindingKind {
            $($(#[$doc])* $name,)*
        }

        impl FindingKind {
            /// All of them, the gravest first.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word for it in SQL and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The same for people.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words),* }
            }
        }
    };
}

kinds! {
    /// We keep it, and neither Stripe's list nor a read of it alone knows it.
    UnknownAtStripe = "unknown_at_stripe", "unknown at Stripe";
    /// We keep it and Stripe's list does not name it. It was not asked for alone, since the list lacks so much.
    NotListed = "not_listed", "not in Stripe's list";
    /// Stripe has it and we do not.
    MissingHere = "missing_here", "missing here";
    /// It is another person's.
    AnotherPersons = "another_persons", "another person's";
    /// Stripe says whose it is, and we did not know.
    NotLinked = "not_linked", "nobody's here";
    /// Another status.
    StatusDiffers = "status_differs", "status differs";
    /// Collection is paused on one side alone.
    PauseDiffers = "pause_differs", "pause differs";
    /// Other prices.
    PriceDiffers = "price_differs", "price differs";
    /// Another number of seats.
    QuantityDiffers = "quantity_differs", "quantity differs";
    /// Other dates: of the period, the trial, an end.
    DatesDiffer = "dates_differ", "dates differ";
    /// What was paid, given back or disputed is kept otherwise.
    PaymentDiffers = "payment_differs", "payment differs";
    /// It is alive and no plan sells its price: nobody gets anything for it.
    PriceWithoutPlan = "price_without_plan", "price without plan";
}

impl FindingKind {
    /// Whether a read of the object mends it. A price that no plan sells is for the owner to mend.
    pub const fn is_mended_by_reading(self) -> bool {
        !matches!(self, Self::PriceWithoutPlan)
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of finding")]
pub struct UnknownKind(String);

impl FromStr for FindingKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let mut kinds = Self::ALL.iter().copied();
        kinds
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// A subscription as one side knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Stripe's status.
    pub status: SubscriptionStatus,
    /// The prices of its items.
    pub prices: Vec<StripePriceId>,
    /// How many of them.
    pub quantity: i64,
    /// `pause_collection` is set.
    pub collection_paused: bool,
    /// When the paid period ends.
    pub current_period_end: Option<DateTime<Utc>>,
    /// It ends with the paid period.
    pub cancel_at_period_end: bool,
    /// It ends then.
    pub cancel_at: Option<DateTime<Utc>>,
    /// It ended then.
    pub ended_at: Option<DateTime<Utc>>,
    /// The trial ends then.
    pub trial_end: Option<DateTime<Utc>>,
    /// Since when money is owed, as far as this side can tell. Not compared: only a read dates a debt.
    pub owed_since: Option<DateTime<Utc>>,
    /// Whose it is.
    pub member_id: Option<MemberId>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What.
    pub kind: FindingKind,
    /// In plain words.
    pub words: String,
}

/// Everything in which `ours` differs from `theirs`, the gravest first.
pub fn differences(ours: &Terms, theirs: &Terms) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |kind: FindingKind, details: String| {
        let words = format!("{}: {details}", kind.words());
        found.push(Difference { kind, words });
    };
    match (ours.member_id, theirs.member_id) {
        (Some(here), Some(there)) if here != there => note(
            FindingKind::AnotherPersons,
            format!("{here} here, {there} by Stripe's customer or metadata"),
        ),
        (None, Some(there)) => note(
            FindingKind::NotLinked,
            format!("it is of {there} by Stripe's customer or metadata"),
        ),
        _ => {}
    }
    if ours.status != theirs.status {
        note(
            FindingKind::StatusDiffers,
            sides(ours.status.as_str(), theirs.status.as_str()),
        );
    }
    if ours.collection_paused != theirs.collection_paused {
        let word = |paused: bool| if paused { "paused" } else { "not paused" };
        note(
            FindingKind::PauseDiffers,
            sides(word(ours.collection_paused), word(theirs.collection_paused)),
        );
    }
    if ours.prices != theirs.prices {
        note(
            FindingKind::PriceDiffers,
            sides(list(&ours.prices), list(&theirs.prices)),
        );
    }
    if ours.quantity != theirs.quantity {
        note(
            FindingKind::QuantityDiffers,
            sides(ours.quantity, theirs.quantity),
        );
    }
    let dates = differing_dates(ours, theirs);
    if !dates.is_empty() {
        note(FindingKind::DatesDiffer, dates.join("; "));
    }
    found
}

/// That a subscription which should give something gives nothing, since no plan sells its prices.
pub fn price_without_plan(theirs: &Terms, catalog: &Catalog) -> Option<Difference> {
    let lives = !theirs.status.is_final() && theirs.status != SubscriptionStatus::Incomplete;
    if !lives || !catalog.plans_selling(&theirs.prices).is_empty() {
        return None;
    }
    let kind = FindingKind::PriceWithoutPlan;
    let words = format!(
        "{}: no plan sells {}; name it in the plans file, or end the subscription at Stripe",
        kind.words(),
        list(&theirs.prices)
    );
    Some(Difference { kind, words })
}

fn differing_dates(ours: &Terms, theirs: &Terms) -> Vec<String> {
    let mut dates = Vec::new();
    for (name, here, there) in [
        (
            "the period ends",
            ours.current_period_end,
            theirs.current_period_end,
        ),
        ("it ends", ours.cancel_at, theirs.cancel_at),
        ("it ended", ours.ended_at, theirs.ended_at),
        ("the trial ends", ours.trial_end, theirs.trial_end),
    ] {
        if here != there {
            dates.push(format!("{name} {}", sides(date(here), date(there))));
        }
    }
    if ours.cancel_at_period_end != theirs.cancel_at_period_end {
        let word = |ends: bool| if ends { "ends" } else { "goes on" };
        dates.push(format!(
            "after the period it {}",
            sides(word(ours.cancel_at_period_end), word(theirs.cancel_at_period_end))
        ));
    }
    dates
}

fn sides(here: impl fmt::Display, there: impl fmt::Display) -> String {
    format!("{here} here, {there} at Stripe")
}

fn date(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "never".to_owned(),
        |at| at.format("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

fn list(prices: &[StripePriceId]) -> String {
    if prices.is_empty() {
        return "nothing".to_owned();
    }
    prices
        .iter()
        .map(StripePriceId::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::days(days)
    }

    type Change = fn(&mut Terms);

    fn terms() -> Terms {
        Terms {
            status: SubscriptionStatus::Active,
            prices: vec![StripePriceId::new("price_1")],
            quantity: 1,
            collection_paused: false,
            current_period_end: Some(at(30)),
            cancel_at_period_end: false,
            cancel_at: None,
            ended_at: None,
            trial_end: None,
            owed_since: None,
            member_id: None,
        }
    }

    fn member(number: u128) -> MemberId {
        MemberId::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn kinds(ours: &Terms, theirs: &Terms) -> Vec<&'static str> {
        let found = differences(ours, theirs);
        found.iter().map(|difference| difference.kind.as_str()).collect()
    }

    #[test]
    fn each_difference_has_its_kind_and_is_said_in_plain_words() {
        let ours = terms();
        let table: [(Change, &str, &str); 6] = [
            (
                |theirs| theirs.status = SubscriptionStatus::Canceled,
                "status_differs",
                "status differs: active here, canceled at Stripe",
            ),
            (
                |theirs| theirs.quantity = 3,
                "quantity_differs",
                "quantity differs: 1 here, 3 at Stripe",
            ),
            (
                |theirs| theirs.collection_paused = true,
                "pause_differs",
                "pause differs: not paused here, paused at Stripe",
            ),
            (
                |theirs| theirs.prices.clear(),
                "price_differs",
                "price differs: price_1 here, nothing at Stripe",
            ),
            (
                |theirs| theirs.cancel_at_period_end = true,
                "dates_differ",
                "dates differ: after the period it goes on here, ends at Stripe",
            ),
            (
                |theirs| theirs.ended_at = Some(at(1)),
                "dates_differ",
                "dates differ: it ended never here, 1970-01-02 00:00 UTC at Stripe",
            ),
        ];
        for (change, kind, words) in table {
            let mut theirs = terms();
            change(&mut theirs);
            let found = differences(&ours, &theirs);
            assert_eq!(found.len(), 1, "{words}");
            assert_eq!((found[0].kind.as_str(), found[0].words.as_str()), (kind, words));
        }
        assert_eq!(differences(&ours, &terms()), []);
    }

    #[test]
    fn stripe_need_not_know_whose_it_is_but_must_not_say_otherwise() {
        let of = |member_id| Terms { member_id, ..terms() };
        let (one, two) = (Some(member(1)), Some(member(2)));
        assert_eq!(kinds(&of(one), &of(None)), Vec::<&str>::new());
        assert_eq!(kinds(&of(one), &of(one)), Vec::<&str>::new());
        assert_eq!(kinds(&of(one), &of(two)), ["another_persons"]);
        assert_eq!(kinds(&of(None), &of(two)), ["not_linked"]);
    }

    #[test]
    fn since_when_money_is_owed_is_no_difference() {
        let theirs = Terms {
            owed_since: Some(at(3)),
            ..terms()
        };
        assert_eq!(differences(&terms(), &theirs), []);
    }

    #[test]
    fn only_what_lives_needs_a_plan() {
        let found = price_without_plan(&terms(), &Catalog::default()).unwrap();
        assert!(found.words.contains("no plan sells price_1"), "{}", found.words);
        for status in ["canceled", "incomplete", "incomplete_expired"] {
            let theirs = Terms {
                status: status.parse().unwrap(),
                ..terms()
            };
            assert_eq!(price_without_plan(&theirs, &Catalog::default()), None, "{status}");
        }
    }

    #[test]
    fn a_kind_is_read_as_it_is_written() {
        for kind in FindingKind::ALL {
            assert_eq!(kind.as_str().parse::<FindingKind>().unwrap(), *kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!("odd".parse::<FindingKind>().is_err());
    }

    fn any_terms() -> impl Strategy<Value = Terms> {
        let statuses = prop::sample::select(vec!["active", "past_due", "canceled", "hibernating"]);
        let date = || prop::option::of((0..40_i64).prop_map(at));
        let prices = prop::collection::vec("price_[ab]", 0..3);
        let member = prop::option::of((1..3_u128).prop_map(member));
        (
            (statuses, prices, 0..4_i64, any::<bool>(), any::<bool>()),
            (date(), date(), date(), date()),
            member,
        )
            .prop_map(|(bought, dates, member_id)| Terms {
                status: bought.0.parse().unwrap_or(SubscriptionStatus::Active),
                prices: bought.1.into_iter().map(StripePriceId::new).collect(),
                quantity: bought.2,
                collection_paused: bought.3,
                cancel_at_period_end: bought.4,
                current_period_end: dates.0,
                cancel_at: dates.1,
                ended_at: dates.2,
                trial_end: dates.3,
                owed_since: None,
                member_id,
            })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself_and_whatever_differs_is_found(ours in any_terms(), theirs in any_terms()) {
            prop_assert!(differences(&ours, &ours).is_empty());
            let found = differences(&ours, &theirs);
            // Only a person whom Stripe does not name makes no difference.
            let named = Terms { member_id: theirs.member_id.or(ours.member_id), ..theirs };
            prop_assert_eq!(found.is_empty(), ours == named);
            prop_assert!(found.is_sorted_by_key(|difference| difference.kind));
        }
    }
}
