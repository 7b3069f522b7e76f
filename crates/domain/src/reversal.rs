//! What became of a payment after it was made: refunds, disputes, warnings of fraud, and what follows.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a dispute stands.
///
/// Source: <https://docs.stripe.com/api/disputes/object#dispute_object-status>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisputeStage {
    /// The bank only asks (`warning_needs_response`, `warning_under_review`): no money has moved.
    Inquiry,
    /// The money was taken back and the bank decides (`needs_response`, `under_review`).
    Open,
    /// The bank decided for the community, or the inquiry was closed.
    Won,
    /// The bank decided against the community. Final.
    Lost,
}

impl DisputeStage {
    /// Reads Stripe's word; one that this version does not know counts as open, so that staff looks.
    pub fn from_stripe(status: &str) -> Self {
        match status {
            "warning_needs_response" | "warning_under_review" => Self::Inquiry,
            // A prevented dispute was settled by a refund, which the charge itself tells of.
            "won" | "warning_closed" | "prevented" => Self::Won,
            "lost" => Self::Lost,
            _ => Self::Open,
        }
    }

    /// The word for it in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// What is known of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What was taken, in the smallest unit of its currency.
    pub amount: i64,
    /// What was given back so far, all refunds together.
    pub amount_refunded: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The dispute, and since when.
    pub dispute: Option<(DisputeStage, DateTime<Utc>)>,
    /// The card's network warned of fraud, and when.
    pub fraud_warning_at: Option<DateTime<Utc>>,
}

impl Payment {
    /// Whether all of it was given back.
    pub const fn is_refunded(&self) -> bool {
        self.amount > 0 && self.amount_refunded >= self.amount
    }
}

/// What a reversal does to what was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// Access stays as it is.
    Nothing,
    /// As if money were owed since then: grace, then Debtor.
    Hold,
    /// What was paid for ends.
    End,
}

/// What each kind of reversal does: the owner's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReversalPolicy {
    /// All of a payment was given back.
    pub full_refund: Consequence,
    /// A part of a payment was given back.
    pub partial_refund: Consequence,
    /// The bank asks about a payment; no money has moved.
    pub inquiry: Consequence,
    /// The holder of the card disputed it and the money is gone for now.
    pub dispute_opened: Consequence,
    /// The dispute was lost.
    pub dispute_lost: Consequence,
    /// The card's network warns of fraud.
    pub early_fraud_warning: Consequence,
}

impl Default for ReversalPolicy {
    fn default() -> Self {
        Self {
            full_refund: Consequence::End,
            partial_refund: Consequence::Nothing,
            inquiry: Consequence::Nothing,
            dispute_opened: Consequence::Hold,
            dispute_lost: Consequence::End,
            early_fraud_warning: Consequence::Nothing,
        }
    }
}

/// What a payment's reversal does, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reversal {
    /// What it does; never [`Consequence::Nothing`].
    pub consequence: Consequence,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What follows from what became of a payment; `None` if nothing does. Of several causes the gravest
/// counts, and of equal ones the earliest. A dispute that was won leaves nothing behind.
pub fn reversal(payment: &Payment, policy: &ReversalPolicy) -> Option<Reversal> {
    let refund = if payment.is_refunded() {
        Some(policy.full_refund)
    } else if payment.amount_refunded > 0 {
        Some(policy.partial_refund)
    } else {
        None
    };
    let dispute = payment.dispute.and_then(|(stage, since)| {
        let consequence = match stage {
            DisputeStage::Inquiry => policy.inquiry,
            DisputeStage::Open => policy.dispute_opened,
            DisputeStage::Lost => policy.dispute_lost,
            DisputeStage::Won => return None,
        };
        Some((consequence, since))
    });
    // The network's warning is moot once the money itself was fought over, or given back.
    let settled = payment.dispute.is_some() || payment.is_refunded();
    let warning = payment.fraud_warning_at.filter(|_| !settled);
    let causes = [
        refund.map(|consequence| (consequence, payment.created_at)),
        dispute,
        warning.map(|since| (policy.early_fraud_warning, since)),
    ];
    causes
        .into_iter()
        .flatten()
        .filter(|(consequence, _)| *consequence != Consequence::Nothing)
        .min_by_key(|(consequence, since)| (std::cmp::Reverse(*consequence), *since))
        .map(|(consequence, since)| Reversal { consequence, since })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn payment(refunded: i64, dispute: Option<(DisputeStage, i64)>, warned: Option<i64>) -> Payment {
        Payment {
            amount: 4900,
            amount_refunded: refunded,
            created_at: at(0),
            dispute: dispute.map(|(stage, since)| (stage, at(since))),
            fraud_warning_at: warned.map(at),
        }
    }

    #[test]
    fn the_defaults_do_what_the_documentation_says() {
        let table = [
            ("nothing happened", payment(0, None, None), None),
            ("partly refunded", payment(100, None, None), None),
            ("refunded", payment(4900, None, None), Some((Consequence::End, 0))),
            (
                "an inquiry",
                payment(0, Some((DisputeStage::Inquiry, 5)), None),
                None,
            ),
            (
                "a dispute",
                payment(0, Some((DisputeStage::Open, 5)), None),
                Some((Consequence::Hold, 5)),
            ),
            (
                "lost",
                payment(0, Some((DisputeStage::Lost, 5)), None),
                Some((Consequence::End, 5)),
            ),
            ("won", payment(0, Some((DisputeStage::Won, 5)), None), None),
            ("a warning", payment(0, None, Some(5)), None),
        ];
        for (what, payment, expected) in table {
            let found = reversal(&payment, &ReversalPolicy::default());
            let expected = expected.map(|(consequence, since)| Reversal {
                consequence,
                since: at(since),
            });
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn a_payment_of_nothing_is_not_refunded() {
        let free = Payment {
            amount: 0,
            ..payment(0, None, None)
        };
        assert_eq!(reversal(&free, &ReversalPolicy::default()), None);
    }

    #[test]
    fn every_word_of_stripe_for_a_dispute_has_its_stage() {
        let table = [
            ("warning_needs_response", DisputeStage::Inquiry),
            ("warning_under_review", DisputeStage::Inquiry),
            ("warning_closed", DisputeStage::Won),
            ("needs_response", DisputeStage::Open),
            ("under_review", DisputeStage::Open),
            ("won", DisputeStage::Won),
            ("lost", DisputeStage::Lost),
            ("prevented", DisputeStage::Won),
            ("a_new_word", DisputeStage::Open),
        ];
        for (word, stage) in table {
            assert_eq!(DisputeStage::from_stripe(word), stage, "{word}");
        }
    }

    fn any_consequence() -> impl Strategy<Value = Consequence> {
        prop::sample::select(vec![Consequence::Nothing, Consequence::Hold, Consequence::End])
    }

    fn any_policy() -> impl Strategy<Value = ReversalPolicy> {
        prop::array::uniform6(any_consequence()).prop_map(
            |[
                full_refund,
                partial_refund,
                inquiry,
                dispute_opened,
                dispute_lost,
                early_fraud_warning,
            ]| {
                ReversalPolicy {
                    full_refund,
                    partial_refund,
                    inquiry,
                    dispute_opened,
                    dispute_lost,
                    early_fraud_warning,
                }
            },
        )
    }

    fn any_payment() -> impl Strategy<Value = Payment> {
        let stages = prop::sample::select(vec![
            DisputeStage::Inquiry,
            DisputeStage::Open,
            DisputeStage::Won,
            DisputeStage::Lost,
        ]);
        let refunds = prop::sample::select(vec![0_i64, 100, 4900]);
        (
            refunds,
            prop::option::of((stages, 0_i64..100)),
            prop::option::of(0_i64..100),
        )
            .prop_map(|(refunded, dispute, warned)| payment(refunded, dispute, warned))
    }

    proptest! {
        #[test]
        fn a_harsher_policy_never_does_less(payment in any_payment(), policy in any_policy()) {
            let harsh = ReversalPolicy {
                full_refund: Consequence::End,
                partial_refund: Consequence::End,
                inquiry: Consequence::End,
                dispute_opened: Consequence::End,
                dispute_lost: Consequence::End,
                early_fraud_warning: Consequence::End,
            };
            let mild = reversal(&payment, &policy).map(|reversal| reversal.consequence);
            let hard = reversal(&payment, &harsh).map(|reversal| reversal.consequence);
            prop_assert!(mild <= hard, "{mild:?} is more than {hard:?}");
        }

        #[test]
        fn a_won_dispute_restores_what_a_dispute_took(payment in any_payment(), policy in any_policy()) {
            let undisputed = Payment { dispute: None, fraud_warning_at: None, ..payment };
            let won = Payment { dispute: Some((DisputeStage::Won, at(1))), ..payment };
            prop_assert_eq!(reversal(&won, &policy), reversal(&undisputed, &policy));
        }
    }
}
