//! Products and prices.

use chrono::{DateTime, Months, TimeDelta, Utc};

use crate::stripe::world::{Metadata, Row};

/// What is sold.
#[derive(Clone, Debug)]
pub struct Product {
    /// `prod_...`
    pub id: String,
    /// Shown to buyers.
    pub name: String,
    /// Longer words.
    pub description: Option<String>,
    /// Whether it can be bought.
    pub active: bool,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Whether it was deleted; only the id is then answered.
    pub deleted: bool,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub updated: i64,
}

impl Row for Product {
    const OBJECT: &'static str = "product";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// What a product costs.
#[derive(Clone, Debug)]
pub struct Price {
    /// `price_...`
    pub id: String,
    /// The product's id.
    pub product: String,
    /// Lower-case ISO code.
    pub currency: String,
    /// In the currency's smallest unit.
    pub unit_amount: i64,
    /// How often it is paid; `None` is once.
    pub recurring: Option<Recurring>,
    /// A note for the owner.
    pub nickname: Option<String>,
    /// A name for lookups.
    pub lookup_key: Option<String>,
    /// Whether it can be bought.
    pub active: bool,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Whether it was deleted in the dashboard; it is then not found, and subscriptions keep it.
    pub deleted: bool,
    /// Unix seconds.
    pub created: i64,
}

impl Row for Price {
    const OBJECT: &'static str = "price";
    fn id(&self) -> &str {
        &self.id
    }
    fn created(&self) -> i64 {
        self.created
    }
}

/// A billing period's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurring {
    /// The unit.
    pub interval: Interval,
    /// How many of them.
    pub count: u32,
}

/// The unit of a billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// `day`
    Day,
    /// `week`
    Week,
    /// `month`
    Month,
    /// `year`
    Year,
}

impl Interval {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("day", Self::Day),
        ("month", Self::Month),
        ("week", Self::Week),
        ("year", Self::Year),
    ];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

impl Recurring {
    /// The end of the period that begins at `start`, counted from `anchor`, so that a subscription
    /// of the 31st comes back to the 31st after February.
    pub fn end(self, anchor: i64, start: i64) -> i64 {
        let from: DateTime<Utc> = DateTime::from_timestamp(anchor, 0).unwrap_or_default();
        let ends = (1..u32::MAX).map_while(|periods| self.after(from, periods));
        let mut ends = ends.map(|end| end.timestamp());
        ends.find(|end| *end > start).unwrap_or(i64::MAX)
    }

    fn after(self, from: DateTime<Utc>, periods: u32) -> Option<DateTime<Utc>> {
        let units = self.count.max(1).checked_mul(periods)?;
        match self.interval {
            Interval::Day => from.checked_add_signed(TimeDelta::days(i64::from(units))),
            Interval::Week => from.checked_add_signed(TimeDelta::weeks(i64::from(units))),
            Interval::Month => from.checked_add_months(Months::new(units)),
            Interval::Year => from.checked_add_months(Months::new(units.checked_mul(12)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_on_the_last_day_when_it_is_short_and_comes_back_after_it() {
        let monthly = Recurring {
            interval: Interval::Month,
            count: 1,
        };
        let day = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp();
        let anchor = day("2027-01-31T12:00:00Z");
        let february = monthly.end(anchor, anchor);
        assert_eq!(february, day("2027-02-28T12:00:00Z"));
        assert_eq!(monthly.end(anchor, february), day("2027-03-31T12:00:00Z"));
    }
}
