//! Customers.

use std::collections::BTreeMap;

use rolecall_domain::ids::StripeCustomerId;
use serde::Deserialize;

use crate::types::tolerant;

/// A customer. Of a deleted one Stripe tells only the id and that it is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Customer {
    /// `cus_...`
    pub id: StripeCustomerId,
    /// Whether it was deleted.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub deleted: bool,
    /// The address that Stripe writes to. Not verified by Stripe.
    #[serde(default)]
    pub email: Option<String>,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// Set by us, or by the account's owner.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Live mode, where Stripe tells.
    #[serde(default)]
    pub livemode: Option<bool>,
}
