//! When a person began to owe: the earliest failed attempt among the invoices still owed.

use chrono::{DateTime, Utc};

/// What is known of one invoice that is still owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwedInvoice {
    /// Stripe's time of its first failed attempt, as the event of that attempt told it.
    pub first_failed_at: Option<DateTime<Utc>>,
    /// When Stripe finalised it, which is when it first tried to collect.
    pub finalized_at: Option<DateTime<Utc>>,
    /// When Stripe made it.
    pub created_at: Option<DateTime<Utc>>,
}

/// When grace began: the first failed attempt on the oldest debt, never in the future.
///
/// An attempt whose event never came is dated by the invoice itself. When nothing dates the debt,
/// what was stored before stays, and the first time it is seen counts from `now`.
pub fn owed_since(
    invoices: &[OwedInvoice],
    stored: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    invoices
        .iter()
        .filter_map(|invoice| {
            invoice
                .first_failed_at
                .or(invoice.finalized_at)
                .or(invoice.created_at)
        })
        .min()
        .or(stored)
        .unwrap_or(now)
        .min(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn invoice(first_failed: Option<i64>, finalized: Option<i64>, created: Option<i64>) -> OwedInvoice {
        OwedInvoice {
            first_failed_at: first_failed.map(at),
            finalized_at: finalized.map(at),
            created_at: created.map(at),
        }
    }

    #[test]
    fn the_oldest_debt_counts_and_the_event_dates_it_best() {
        let invoices = [
            invoice(Some(500), Some(90), Some(10)),
            invoice(None, Some(700), None),
        ];
        assert_eq!(owed_since(&invoices, None, at(1000)), at(500));
    }

    #[test]
    fn an_undated_debt_keeps_its_stored_date_and_else_counts_from_now() {
        assert_eq!(
            owed_since(&[invoice(None, None, None)], Some(at(3)), at(9)),
            at(3)
        );
        assert_eq!(owed_since(&[], None, at(9)), at(9));
    }

    #[test]
    fn grace_never_begins_in_the_future() {
        assert_eq!(owed_since(&[invoice(Some(50), None, None)], None, at(9)), at(9));
    }
}
