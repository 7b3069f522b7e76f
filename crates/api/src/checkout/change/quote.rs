//! What a change costs, in numbers: today, and from the next period on.

use chrono::{DateTime, Utc};
use rolecall_stripe::types::preview::{InvoicePreview, PreviewLine};
use serde::Serialize;

use crate::checkout::change::Planned;

/// What a change costs. Amounts are in the smallest unit of the currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Quote {
    /// What is charged now.
    pub(crate) amount_due: i64,
    /// What is kept for the next bills, where the change gives something back.
    pub(crate) credit: i64,
    /// Three lower-case letters.
    pub(crate) currency: String,
    /// What the sum is made of.
    pub(crate) lines: Vec<QuoteLine>,
    /// From the next period on.
    pub(crate) next: Next,
    /// The moment that the settlement is reckoned from.
    pub(crate) prorated_at: DateTime<Utc>,
    /// The sum with its sign: what a later look is compared with.
    #[serde(skip)]
    pub(crate) total: i64,
}

/// One line of the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QuoteLine {
    pub(crate) description: String,
    /// Below zero for time given back.
    pub(crate) amount: i64,
    pub(crate) quantity: Option<u64>,
    pub(crate) proration: bool,
    pub(crate) period_start: Option<DateTime<Utc>>,
    pub(crate) period_end: Option<DateTime<Utc>>,
}

/// What is paid from the next period on, before tax and discounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    /// None for prices in tiers.
    pub(crate) amount: Option<i64>,
    pub(crate) interval: Option<String>,
    pub(crate) interval_count: Option<i32>,
    pub(crate) at: Option<DateTime<Utc>>,
}

impl Quote {
    /// Reads it from Stripe's preview. Where nothing is settled now, that one is of the next bill.
    pub(super) fn new(planned: &Planned, preview: InvoicePreview, prorated_at: DateTime<Utc>) -> Self {
        let is_now = planned.is_settled_now();
        let begins = preview.lines.data.iter().filter(|line| !line.is_proration());
        let period_end = begins.filter_map(|line| line.period?.end).max();
        let next_at = if is_now && planned.new_period {
            period_end
        } else {
            planned.period_end
        };
        let next = Next {
            amount: planned
                .price
                .unit_amount
                .and_then(|amount| amount.checked_mul(planned.quantity)),
            interval: planned.price.interval.clone(),
            interval_count: planned.price.interval_count,
            at: next_at,
        };
        let currency = if preview.currency.is_empty() {
            planned.price.currency.clone().unwrap_or_default()
        } else {
            preview.currency
        };
        let (amount_due, total, lines) = if is_now {
            (preview.amount_due, preview.total, preview.lines.data)
        } else {
            (0, 0, Vec::new())
        };
        Self {
            amount_due,
            credit: total.min(0).saturating_neg(),
            currency,
            lines: lines.into_iter().map(QuoteLine::from).collect(),
            next,
            prorated_at,
            total,
        }
    }
}

impl From<PreviewLine> for QuoteLine {
    fn from(line: PreviewLine) -> Self {
        Self {
            proration: line.is_proration(),
            description: line.description.unwrap_or_default(),
            amount: line.amount,
            quantity: line.quantity,
            period_start: line.period.and_then(|period| period.start),
            period_end: line.period.and_then(|period| period.end),
        }
    }
}
