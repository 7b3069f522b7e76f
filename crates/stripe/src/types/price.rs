//! Prices and the products they sell.

use serde::Deserialize;

use rolecall_domain::ids::StripePriceId;

use crate::types::{expandable::Expandable, open_enum::open_enums, tolerant};

open_enums! {
    /// The unit of a billing period.
    Interval {
        /// A day.
        Day = "day",
        /// A week.
        Week = "week",
        /// A month.
        Month = "month",
        /// A year.
        Year = "year",
    }
}

/// A price.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Price {
    /// `price_...`, or any name for the plans of old accounts.
    pub id: StripePriceId,
    /// Whether it can still be bought.
    #[serde(default)]
    pub active: Option<bool>,
    /// What one costs, in the smallest unit of the currency; none for tiers and odd fractions.
    #[serde(default)]
    pub unit_amount: Option<i64>,
    /// Three lower-case letters.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub currency: String,
    /// How often it is paid; none for a one-time price.
    #[serde(default)]
    pub recurring: Option<Recurring>,
    /// What it sells, expanded by `get_price`.
    #[serde(default)]
    pub product: Option<Expandable<String, Product>>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
}

impl Price {
    /// Whether Stripe sells it: neither it nor its product is archived or deleted.
    pub fn is_buyable(&self) -> bool {
        let product = self.product.as_ref().and_then(Expandable::object);
        self.active.unwrap_or(true)
            && product.is_none_or(|product| !product.deleted && product.active.unwrap_or(true))
    }
}

/// How often a price is paid.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Recurring {
    /// The unit of the period.
    #[serde(default)]
    pub interval: Interval,
    /// How many units the period has.
    #[serde(default = "one", deserialize_with = "one_if_null")]
    pub interval_count: u64,
}

fn one() -> u64 {
    1
}

fn one_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(one))
}

/// What a price sells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Product {
    /// `prod_...`, or any name.
    pub id: String,
    /// The name that buyers see; none for a deleted product.
    #[serde(default)]
    pub name: Option<String>,
    /// Whether it can be bought.
    #[serde(default)]
    pub active: Option<bool>,
    /// Whether it was deleted: then Stripe tells only the id.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub deleted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_archived_or_deleted_with_its_product_cannot_be_bought() {
        for (rest, expected) in [
            ("", true),
            (r#","active":true,"product":"prod_1""#, true),
            (r#","active":false"#, false),
            (r#","product":{"id":"prod_1","name":"A","active":true}"#, true),
            (r#","product":{"id":"prod_1","name":"A","active":false}"#, false),
            (
                r#","active":true,"product":{"id":"prod_1","deleted":true}"#,
                false,
            ),
        ] {
            let price: Price = serde_json::from_str(&format!(r#"{{"id":"price_1"{rest}}}"#)).unwrap();
            assert_eq!(price.is_buyable(), expected, "{rest}");
        }
    }
}
