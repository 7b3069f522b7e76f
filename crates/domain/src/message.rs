//! The messages that people get about their membership, and when each one about a debt is due.

use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    /// A membership has begun.
    Welcome,
    /// A payment failed for the first time.
    PaymentFailed,
    /// Half of the grace period is over.
    GraceMidway,
    /// The last day of the grace period has begun.
    GraceLastDay,
    /// The grace period is over.
    AccessRemoved,
    /// What was owed has been paid.
    PaymentRecovered,
    /// The bank wants the payment confirmed.
    PaymentActionRequired,
    /// The free days have ended at once: they had been used before.
    TrialEnded,
}

impl MessageKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Welcome,
        Self::PaymentFailed,
        Self::GraceMidway,
        Self::GraceLastDay,
        Self::AccessRemoved,
        Self::PaymentRecovered,
        Self::PaymentActionRequired,
        Self::TrialEnded,
    ];

    /// The word for it in SQL, JSON and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::PaymentFailed => "payment_failed",
            Self::GraceMidway => "grace_midway",
            Self::GraceLastDay => "grace_last_day",
            Self::AccessRemoved => "access_removed",
            Self::PaymentRecovered => "payment_recovered",
            Self::PaymentActionRequired => "payment_action_required",
            Self::TrialEnded => "trial_ended",
        }
    }

    /// What it is about, for people: the subject line of the mail, and its name in lists.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Welcome => "Welcome: your membership has begun",
            Self::PaymentFailed => "Your payment did not go through",
            Self::GraceMidway => "A reminder: your payment is still open",
            Self::GraceLastDay => "Your access ends soon",
            Self::AccessRemoved => "Your access has been paused",
            Self::PaymentRecovered => "Thank you: your payment has arrived",
            Self::PaymentActionRequired => "Your bank asks you to confirm a payment",
            Self::TrialEnded => "Your free days had been used before",
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a message")]
pub struct UnknownMessage(String);

impl FromStr for MessageKind {
    type Err = UnknownMessage;

    fn from_str(text: &str) -> Result<Self, UnknownMessage> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownMessage(text.to_owned()))
    }
}

/// A debt: from the first failed attempt to the end of the grace period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debt {
    /// When the first attempt failed.
    pub since: DateTime<Utc>,
    /// When access ends.
    pub until: DateTime<Utc>,
}

/// The messages about a debt in their order.
const STEPS: [MessageKind; 4] = [
    MessageKind::PaymentFailed,
    MessageKind::GraceMidway,
    MessageKind::GraceLastDay,
    MessageKind::AccessRemoved,
];

impl Debt {
    /// When a message about this debt is due; `None` for messages about something else.
    pub fn due_at(&self, kind: MessageKind) -> Option<DateTime<Utc>> {
        let grace = (self.until - self.since).max(TimeDelta::zero());
        Some(match kind {
            MessageKind::PaymentFailed => self.since,
            MessageKind::GraceMidway => self.since + grace / 2,
            // A day ahead, and of a short grace its last quarter.
            MessageKind::GraceLastDay => self.since + (grace - TimeDelta::days(1).min(grace / 4)),
            MessageKind::AccessRemoved => self.until.max(self.since),
            _ => return None,
        })
    }

    /// The one message that is right at `now`: the newest whose time has come. Those whose time passed
    /// unnoticed are not made up for: a reminder after the end would be wrong.
    pub fn message(&self, now: DateTime<Utc>) -> Option<MessageKind> {
        STEPS
            .into_iter()
            .rev()
            .find(|kind| self.due_at(*kind).is_some_and(|at| at <= now))
    }

    /// When the next message becomes right; `None` after the last.
    pub fn next_message_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        STEPS
            .into_iter()
            .filter_map(|kind| self.due_at(kind))
            .find(|at| now < *at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    const DAY: i64 = 86_400;

    #[test]
    fn every_message_is_read_as_it_is_written() {
        for kind in MessageKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("riddle".parse::<MessageKind>().is_err());
    }

    #[test]
    fn a_week_of_grace_has_a_message_at_its_start_its_middle_its_last_day_and_its_end() {
        let debt = Debt {
            since: at(0),
            until: at(7 * DAY),
        };
        let table = [
            (-1, None),
            (0, Some(MessageKind::PaymentFailed)),
            (7 * DAY / 2 - 1, Some(MessageKind::PaymentFailed)),
            (7 * DAY / 2, Some(MessageKind::GraceMidway)),
            (6 * DAY, Some(MessageKind::GraceLastDay)),
            (7 * DAY - 1, Some(MessageKind::GraceLastDay)),
            (7 * DAY, Some(MessageKind::AccessRemoved)),
            (70 * DAY, Some(MessageKind::AccessRemoved)),
        ];
        for (seconds, expected) in table {
            assert_eq!(debt.message(at(seconds)), expected, "after {seconds} s");
        }
        assert_eq!(debt.next_message_at(at(0)), Some(at(7 * DAY / 2)));
        assert_eq!(debt.next_message_at(at(7 * DAY)), None);
    }

    #[test]
    fn without_grace_only_the_end_is_told() {
        let debt = Debt {
            since: at(5),
            until: at(5),
        };
        assert_eq!(debt.message(at(5)), Some(MessageKind::AccessRemoved));
        assert_eq!(debt.next_message_at(at(5)), None);
    }

    proptest! {
        #[test]
        fn messages_come_in_their_order_and_the_clock_misses_none(grace in 4_i64..10_000_000, wait in 0_i64..20_000_000) {
            let debt = Debt { since: at(0), until: at(grace) };
            let mut now = debt.since;
            let mut told = vec![debt.message(now)];
            while let Some(next) = debt.next_message_at(now) {
                prop_assert!(next > now);
                now = next;
                told.push(debt.message(now));
            }
            prop_assert_eq!(told, STEPS.map(Some));
            let later = debt.message(at(wait));
            prop_assert!(later.is_some() && later <= Some(MessageKind::AccessRemoved));
        }
    }
}
