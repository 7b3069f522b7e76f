//! The guard: how much a run may take away before it has to ask.
//!
//! A list that is cut off and a key of the wrong account look like people who have all left. So what a run
//! would take is counted first, and too much of it waits until an admin says yes.

use std::fmt;

/// Fewer removals than this are never too many by default: a small community would be asked each time.
const ALWAYS_ALLOWED: u64 = 10;

/// What a run has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Subscriptions that we knew when it began.
    pub known: u64,
    /// Subscriptions that Stripe listed.
    pub listed: u64,
    /// Of those that we know, how many have not ended.
    pub living: u64,
    /// Of the living, how many Stripe listed.
    pub named: u64,
    /// People to whom a room would be closed.
    pub removals: u64,
    /// People to whom some room is open now.
    pub with_access: u64,
}

/// Why a run has to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Stripe listed nothing, and we know something.
    EmptyList {
        /// What we know.
        known: u64,
    },
    /// Stripe listed less than half of what we know.
    ShortList {
        /// What it listed.
        listed: u64,
        /// What we know.
        known: u64,
    },
    /// Stripe listed less than half of what we know to live, whatever else it listed.
    ForeignList {
        /// What of it was listed.
        named: u64,
        /// What we know to live.
        living: u64,
    },
    /// Too many people would lose access.
    Removals {
        /// How many.
        removals: u64,
        /// How many may.
        limit: u64,
        /// How many people have access now.
        with_access: u64,
    },
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyList { known } => write!(
                f,
                "Stripe listed no subscription at all, and {known} are known here: is it the right key and mode?"
            ),
            Self::ShortList { listed, known } => write!(
                f,
                "Stripe listed {listed} subscriptions, and {known} are known here: the list may be cut off"
            ),
            Self::ForeignList { named, living } => write!(
                f,
                "of {living} subscriptions that live here Stripe's list names {named}: is it the key of another account?"
            ),
            Self::Removals {
                removals,
                limit,
                with_access,
            } => write!(
                f,
                "{removals} of {with_access} people would lose access, and {limit} may (RECONCILE_MAX_REMOVALS)"
            ),
        }
    }
}

/// How many people may lose access in one run: what the owner chose, or the larger of 10 and 10 %.
pub fn removal_limit(with_access: u64, chosen: Option<u32>) -> u64 {
    chosen.map_or_else(|| ALWAYS_ALLOWED.max(with_access / 10), u64::from)
}

/// Whether Stripe's list lacks so much that it cannot be believed.
pub const fn is_short(listed: u64, known: u64) -> bool {
    listed < known.div_ceil(2)
}

/// Every reason why a run that has seen this has to ask; none, and it goes on alone.
pub fn holds(census: &Census, chosen: Option<u32>) -> Vec<Hold> {
    let Census {
        known,
        listed,
        living,
        named,
        removals,
        with_access,
    } = *census;
    let mut holds = Vec::new();
    if listed == 0 && known > 0 {
        holds.push(Hold::EmptyList { known });
    } else if is_short(listed, known) {
        holds.push(Hold::ShortList { listed, known });
    } else if is_short(named, living) {
        holds.push(Hold::ForeignList { named, living });
    }
    let limit = removal_limit(with_access, chosen);
    if removals > limit {
        holds.push(Hold::Removals {
            removals,
            limit,
            with_access,
        });
    }
    holds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn removing(removals: u64, with_access: u64) -> Census {
        Census {
            removals,
            with_access,
            ..Census::default()
        }
    }

    #[test]
    fn the_limit_is_the_larger_of_ten_and_ten_percent_or_what_the_owner_chose() {
        for (with_access, chosen, limit) in [
            (0, None, 10),
            (100, None, 10),
            (109, None, 10),
            (110, None, 11),
            (5_000, None, 500),
            (5_000, Some(3), 3),
            (5_000, Some(0), 0),
        ] {
            assert_eq!(
                removal_limit(with_access, chosen),
                limit,
                "{with_access} {chosen:?}"
            );
            assert_eq!(holds(&removing(limit, with_access), chosen), []);
            assert_eq!(holds(&removing(limit + 1, with_access), chosen).len(), 1);
        }
    }

    #[test]
    fn a_list_under_half_of_what_is_known_is_not_believed() {
        for (listed, known, held) in [
            (0, 0, false),
            (5, 0, false),
            (0, 1, true),
            (1, 1, false),
            (1, 2, false),
            (1, 3, true),
            (49, 100, true),
            (50, 100, false),
            (51, 101, false),
            (50, 101, true),
        ] {
            let census = Census {
                known,
                listed,
                ..Census::default()
            };
            assert_eq!(!holds(&census, None).is_empty(), held, "{listed} of {known}");
        }
    }

    #[test]
    fn a_held_run_says_why_with_numbers() {
        let census = Census {
            known: 80,
            listed: 12,
            removals: 31,
            with_access: 60,
            ..Census::default()
        };
        let words: Vec<String> = holds(&census, None).iter().map(Hold::to_string).collect();
        assert!(
            words[0].contains("listed 12") && words[0].contains("80 are known"),
            "{words:?}"
        );
        assert!(
            words[1].contains("31 of 60 people") && words[1].contains("10 may"),
            "{words:?}"
        );
        let empty = Census { listed: 0, ..census };
        assert!(
            holds(&empty, None)[0]
                .to_string()
                .contains("no subscription at all")
        );
    }

    #[test]
    fn a_list_of_other_things_is_not_believed_however_long_it_is() {
        for (named, living, held) in [
            (0, 0, false),
            (0, 1, true),
            (1, 2, false),
            (3, 8, true),
            (4, 8, false),
        ] {
            let census = Census {
                known: 10,
                listed: 5_000,
                living,
                named,
                ..Census::default()
            };
            assert_eq!(!holds(&census, None).is_empty(), held, "{named} of {living}");
        }
        let census = Census {
            known: 8,
            listed: 8,
            living: 8,
            named: 1,
            ..Census::default()
        };
        let words = holds(&census, None)[0].to_string();
        assert!(
            words.contains("of 8 subscriptions") && words.contains("names 1"),
            "{words}"
        );
    }

    fn any_census() -> impl Strategy<Value = Census> {
        (0..500_u64, 0..500_u64, 0..500_u64, 0..500_u64).prop_map(|(known, listed, removals, more)| Census {
            known,
            listed,
            living: known,
            named: listed.min(known),
            removals,
            with_access: removals + more,
        })
    }

    proptest! {
        #[test]
        fn what_is_held_stays_held_when_more_is_taken_or_less_is_listed(
            census in any_census(), chosen in prop::option::of(0..600_u32), more in 0..50_u64, less in 0..50_u64,
        ) {
            let worse = Census {
                removals: census.removals + more,
                listed: census.listed.saturating_sub(less),
                named: census.named.saturating_sub(less),
                ..census
            };
            prop_assert!(holds(&census, chosen).is_empty() || !holds(&worse, chosen).is_empty());
        }

        #[test]
        fn a_run_that_goes_on_alone_takes_no_more_than_the_limit(
            census in any_census(), chosen in prop::option::of(0..600_u32),
        ) {
            if holds(&census, chosen).is_empty() {
                prop_assert!(census.removals <= removal_limit(census.with_access, chosen));
                prop_assert!(census.listed * 2 >= census.known);
            }
        }

        #[test]
        fn a_run_that_takes_nothing_from_anybody_and_sees_everything_never_asks(known in 0..10_000_u64, with_access: u32) {
            let census = Census { known, listed: known, living: known, named: known, removals: 0, with_access: u64::from(with_access) };
            prop_assert!(holds(&census, Some(0)).is_empty());
        }
    }
}
